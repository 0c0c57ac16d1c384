"""What a decision rests on is read afresh: groups as they are now, and what is over only to say why not."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from codec import standing
from codec.authorization import Allowed, Denied, authorize_decode
from codec.callers.principal import Principal
from codec.grants import give_grant, revoke_grant
from codec.models import Grant
from keys.models import AuditRecord, Namespace
from keys.rotation import create_namespace
from tests.conftest import OPERATOR, signed_in

WHY = {"actor": OPERATOR, "reason": "test"}
HOUR = timedelta(hours=1)


@pytest.fixture
def support(alice) -> Group:
    """A group that alice is in."""
    group = Group.objects.create(name="support")
    alice.groups.add(group)
    return group


def decide(user, namespace, **when):
    return standing.decide(authorize_decode, Principal(user.pk, user.username, "session x"), namespace, **when)


def test_grant_to_a_group_reaches_its_members(alice, mallory, support, payments):
    grant = give_grant(support, payments, decode=True, **WHY)
    assert decide(alice, payments) == Allowed(grant)
    assert decide(mallory, payments) == Denied("no_grant")


def test_who_leaves_the_group_is_denied_at_the_next_request(alice, support, canary_key, payments):
    give_grant(support, payments, decode=True, **WHY)
    browser = signed_in(alice)
    assert browser.call("/decode").status_code == 200
    alice.groups.remove(support)
    assert browser.call("/decode").status_code == 403


def test_grant_that_has_not_begun_is_denied_until_it_has(alice, payments):
    start = timezone.now() + HOUR
    grant = give_grant(alice, payments, decode=True, starts_at=start, **WHY)
    assert decide(alice, payments) == Denied("grant_not_yet")
    assert decide(alice, payments, now=start) == Allowed(grant)


def test_grant_is_denied_from_its_end_on(alice, payments):
    end = timezone.now() + HOUR
    grant = give_grant(alice, payments, decode=True, ends_at=end, **WHY)
    assert decide(alice, payments) == Allowed(grant, until=end)
    assert decide(alice, payments, now=end) == Denied("grant_expired")


def test_end_of_a_grant_is_denied_and_recorded_with_that_reason(browser):
    Grant.objects.update(starts_at=timezone.now() - 2 * HOUR, ends_at=timezone.now() - HOUR)
    assert browser.call("/decode").status_code == 403
    record = AuditRecord.objects.latest("id")
    assert (record.outcome, record.reason) == ("denied", "grant_expired")


def test_revoked_grant_is_the_reason(alice, granted, payments):
    revoke_grant(Grant.objects.get(), **WHY)
    assert decide(alice, payments) == Denied("grant_revoked")


def test_retired_namespace_is_the_reason(alice, granted):
    Namespace.objects.update(retired_at=timezone.now())
    assert decide(alice, Namespace.objects.get()) == Denied("namespace_retired")


def test_namespace_that_does_not_exist_is_the_reason(alice, granted):
    assert decide(alice, None) == Denied("no_such_namespace")


def test_service_is_let_in_by_its_grant_alone(alice, granted, payments):
    group = Group.objects.create(name="batch")
    service = type(alice).objects.create(username="batch", password="!", is_service=True, owner_group=group)
    assert decide(service, payments) == Denied("no_grant")
    grant = give_grant(service, payments, decode=True, **WHY)
    assert decide(service, payments) == Allowed(grant)


def test_allowed_caller_costs_one_query(alice, granted, payments, django_assert_num_queries):
    with django_assert_num_queries(1):
        decide(alice, payments)


def test_decode_is_recorded_with_the_grant_that_permits_it(browser):
    browser.call("/decode")
    assert AuditRecord.objects.latest("id").details["grant"] == Grant.objects.get().pk


def test_grants_elsewhere_do_not_count(alice, granted):
    assert decide(alice, create_namespace("refunds", actor=OPERATOR)) == Denied("no_grant")
