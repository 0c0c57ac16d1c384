import pytest

from codec.grants import GrantRefused, give_grant, grants_in_force, revoke_grant
from codec.models import Grant
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord
from tests.conftest import OPERATOR


def give(user, namespace, *, actor=OPERATOR, reason="on call", decode=True, encode=False):
    return give_grant(user, namespace, decode=decode, encode=encode, actor=actor, reason=reason)


def test_grant_is_recorded_with_whom_what_and_why(alice, payments):
    give(alice, payments)
    record = AuditRecord.objects.latest("id")
    assert (record.action, record.namespace) == ("grant:given", "payments")
    assert record.details == {"user": "alice", "user_id": alice.pk, "verbs": "decode", "reason": "on call"}


def test_new_grant_replaces_the_one_in_force(alice, payments):
    give(alice, payments)
    give(alice, payments, decode=False, encode=True)
    assert [grant.verbs for grant in grants_in_force(alice)] == ["encode"]
    assert Grant.objects.count() == 2


@pytest.mark.parametrize("wrong", [{"decode": False}, {"reason": " "}])
def test_grant_without_verb_or_reason_is_refused(alice, payments, wrong):
    with pytest.raises(GrantRefused):
        give(alice, payments, **wrong)


def test_nobody_grants_to_themselves(alice, payments):
    herself = Actor(kind=ActorKind.USER, id=str(alice.pk), name="alice")
    with pytest.raises(GrantRefused):
        give(alice, payments, actor=herself)


def test_revoked_grant_stays_as_history(alice, payments):
    revoke_grant(give(alice, payments), actor=OPERATOR, reason="left the team")
    grant = Grant.objects.get()
    assert (grant.in_force, grant.revoked_by, grant.revoke_reason) == (False, "test", "left the team")
    assert AuditRecord.objects.latest("id").action == "grant:revoked"


def test_grant_is_revoked_once(alice, payments):
    grant = give(alice, payments)
    revoke_grant(grant, actor=OPERATOR, reason="test")
    with pytest.raises(GrantRefused):
        revoke_grant(grant, actor=OPERATOR, reason="test")


def test_revoking_needs_a_reason(alice, payments):
    with pytest.raises(GrantRefused):
        revoke_grant(give(alice, payments), actor=OPERATOR, reason="")


def test_revoked_grant_is_refused_on_the_next_request(browser):
    assert browser.call("/decode").status_code == 200
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="test")
    assert browser.call("/decode").status_code == 403
