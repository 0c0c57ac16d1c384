"""Who may, as a table; deny by default."""

import pytest
from django.utils import timezone

from codec.authorization import Allowed, Denied, authorize_decode, authorize_encode, authorize_presence
from codec.callers.principal import Principal
from codec.grants import give_grant, revoke_grant
from codec.models import Grant
from keys.rotation import create_namespace
from tests.conftest import OPERATOR

EVERY_VERB = [authorize_decode, authorize_encode, authorize_presence]


def principal(user) -> Principal:
    return Principal(user.pk, user.username, "session x")


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_grant_in_force_allows(alice, granted, payments, authorize):
    assert authorize(principal(alice), payments) == Allowed(Grant.objects.get())


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_no_grant_is_denied(mallory, granted, payments, authorize):
    assert authorize(principal(mallory), payments) == Denied("no_grant")


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_superuser_without_grant_is_denied(bob, granted, payments, authorize):
    assert authorize(principal(bob), payments) == Denied("no_grant")


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_grant_on_another_namespace_is_denied(alice, granted, authorize):
    refunds = create_namespace("refunds", actor=OPERATOR)
    assert authorize(principal(alice), refunds) == Denied("no_grant")


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_revoked_grant_is_denied(alice, granted, payments, authorize):
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="test")
    assert authorize(principal(alice), payments) == Denied("no_grant")


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_retired_namespace_is_denied(alice, granted, payments, authorize):
    payments.retired_at = timezone.now()
    assert authorize(principal(alice), payments) == Denied("namespace_retired")


@pytest.mark.parametrize("authorize", EVERY_VERB)
def test_namespace_that_does_not_exist_is_denied(alice, granted, authorize):
    assert authorize(principal(alice), None) == Denied("no_such_namespace")


@pytest.mark.parametrize(("verb", "authorize"), [("decode", authorize_encode), ("encode", authorize_decode)])
def test_grant_of_the_other_verb_is_denied(alice, payments, verb, authorize):
    verbs = {"decode": False, "encode": False, verb: True}
    give_grant(alice, payments, **verbs, actor=OPERATOR, reason="test")
    assert authorize(principal(alice), payments) == Denied("verb_not_granted")
