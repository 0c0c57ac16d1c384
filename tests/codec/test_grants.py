"""Giving and ending grants: to whom, from when until when, by whom, and what is recorded of it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from codec.grants import GrantRefused, ToOneself, give_grant, grants_in_force, revoke_grant
from codec.models import Grant, GroupMapping, User
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord, Namespace
from keys.rotation import create_namespace
from tests.conftest import OPERATOR

HOUR = timedelta(hours=1)


def give(subject, namespace, *, actor=OPERATOR, reason="on call", decode=True, **terms):
    return give_grant(subject, namespace, decode=decode, actor=actor, reason=reason, **terms)


def as_actor(user: User) -> Actor:
    return Actor(kind=ActorKind.USER, id=str(user.pk), name=user.username)


def last() -> AuditRecord:
    return AuditRecord.objects.latest("id")


@pytest.fixture
def support(db) -> Group:
    return Group.objects.create(name="support")


@pytest.fixture
def batch(support) -> User:
    """A service of the group support."""
    return User.objects.create(username="batch", password="!", is_service=True, owner_group=support)


# What is recorded -----------------------------------------------------------------------------------------------------


def test_grant_is_recorded_with_whom_what_when_and_why(alice, payments):
    grant = give(alice, payments, ends_at=timezone.now() + HOUR, ticket="OPS-12")
    assert (last().action, last().namespace, last().outcome) == ("grant:given", "payments", "allowed")
    assert last().details == {
        "user": "alice",
        "user_id": alice.pk,
        "grant": grant.pk,
        "verbs": "decode",
        "from": grant.starts_at.isoformat(),
        "until": grant.ends_at.isoformat(),
        "source": "by hand",
        "ticket": "OPS-12",
        "reason": "on call",
    }


def test_grant_to_a_group_is_recorded_with_the_group(support, payments):
    give(support, payments)
    assert (last().details["group"], last().details["group_id"]) == ("support", support.pk)


def test_grant_that_cannot_be_recorded_is_not_given(alice, payments, audit_unwritable):
    with pytest.raises(DatabaseError):
        give(alice, payments)
    assert not Grant.objects.exists()


def test_revoked_grant_stays_as_history(alice, payments):
    revoke_grant(give(alice, payments), actor=OPERATOR, reason="left the team")
    grant = Grant.objects.get()
    assert (grant.state, grant.revoked_by, grant.revoke_reason) == ("revoked", "test", "left the team")
    assert (last().action, last().details["reason"]) == ("grant:revoked", "left the team")


def test_expired_grant_stays_as_history(alice, payments):
    give(alice, payments, ends_at=timezone.now() + HOUR)
    Grant.objects.update(starts_at=timezone.now() - 2 * HOUR, ends_at=timezone.now() - HOUR)
    assert Grant.objects.get().state == "expired"
    assert not grants_in_force(alice).exists()


# Several at once ------------------------------------------------------------------------------------------------------


def test_new_grant_given_by_hand_replaces_the_former(alice, payments):
    give(alice, payments)
    give(alice, payments, decode=False, encode=True)
    assert [grant.verbs for grant in grants_in_force(alice)] == ["encode"]
    assert Grant.objects.count() == 2


def test_grant_that_begins_later_leaves_the_one_in_force(alice, payments):
    give(alice, payments)
    give(alice, payments, encode=True, starts_at=timezone.now() + HOUR)
    assert [grant.verbs for grant in grants_in_force(alice)] == ["decode"]
    assert not Grant.objects.filter(revoked_at__isnull=False).exists()


@pytest.mark.parametrize("source", [Grant.Source.REQUEST, Grant.Source.BREAK_GLASS])
def test_what_was_asked_for_and_break_glass_stand_beside_what_was_given(alice, payments, source):
    give(alice, payments, decode=False, encode=True)
    give(alice, payments, source=source, ends_at=timezone.now() + HOUR)
    assert sorted(grant.verbs for grant in grants_in_force(alice)) == ["decode", "encode"]


def test_what_was_given_replaces_neither_what_was_asked_for_nor_others(alice, mallory, support, payments):
    give(alice, payments, source=Grant.Source.REQUEST, ends_at=timezone.now() + HOUR)
    give(mallory, payments)
    give(support, payments)
    give(alice, payments)
    assert Grant.objects.in_force(timezone.now()).count() == 4


def test_grants_of_ones_groups_count_as_ones_own(alice, support, payments):
    alice.groups.add(support)
    give(support, payments)
    assert [grant.group for grant in grants_in_force(alice)] == [support]


def test_retired_namespace_is_not_listed(alice, payments):
    give(alice, payments)
    Namespace.objects.update(retired_at=timezone.now())
    assert not grants_in_force(alice).exists()


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"decode": False},
        {"reason": " "},
        {"reason": "x" * 201},
        {"ends_at": timezone.now() - HOUR},
        {"starts_at": timezone.now() + 2 * HOUR, "ends_at": timezone.now() + HOUR},
    ],
    ids=["no verb", "no reason", "long reason", "in the past", "ends before it starts"],
)
def test_grant_that_makes_no_sense_is_refused(alice, payments, wrong):
    with pytest.raises(GrantRefused):
        give(alice, payments, **wrong)
    assert not Grant.objects.exists()


def test_grant_on_a_retired_namespace_is_refused(alice, payments):
    payments.retired_at = timezone.now()
    with pytest.raises(GrantRefused, match="retired"):
        give(alice, payments)


def test_open_ended_grant_takes_a_permission(alice, mallory, payments):
    with pytest.raises(GrantRefused, match="when it ends"):
        give(mallory, payments, actor=as_actor(alice))
    give(mallory, payments, actor=as_actor(alice), ends_at=timezone.now() + HOUR)
    alice.user_permissions.add(Permission.objects.get(codename="give_open_ended_grant"))
    assert give(mallory, payments, actor=as_actor(alice)).ends_at is None


def test_command_line_gives_open_ended_grants(alice, payments):
    assert give(alice, payments, actor=OPERATOR).ends_at is None


def test_nobody_else_gives_open_ended_grants(alice, payments):
    with pytest.raises(GrantRefused):
        give(alice, payments, actor=Actor(kind=ActorKind.ANONYMOUS))


# Nobody grants to themselves ------------------------------------------------------------------------------------------


def test_grant_to_oneself_is_refused_and_recorded(bob, payments):
    with pytest.raises(ToOneself):
        give(bob, payments, actor=as_actor(bob))
    assert not Grant.objects.exists()
    assert (last().action, last().outcome, last().reason) == ("grant:given", "denied", "to_oneself")


@pytest.mark.parametrize("of", ["support", "batch"])
def test_grant_to_a_group_one_is_in_or_its_service_is_refused(bob, support, batch, payments, of, request):
    bob.groups.add(support)
    with pytest.raises(ToOneself, match="You are in the group"):
        give(request.getfixturevalue(of), payments, actor=as_actor(bob))
    assert not Grant.objects.exists()


@pytest.mark.parametrize("of", ["support", "batch"])
def test_grant_to_a_group_one_is_not_in_or_its_service_is_given(bob, support, batch, payments, of, request):
    assert give(request.getfixturevalue(of), payments, actor=as_actor(bob)).granted_by == "bob"


def test_slip_is_not_recorded(alice, payments):
    before = AuditRecord.objects.count()
    with pytest.raises(GrantRefused):
        give(alice, payments, reason="")
    assert AuditRecord.objects.count() == before


# Where it comes from --------------------------------------------------------------------------------------------------


def test_grant_to_a_group_that_the_provider_fills_says_so(support, payments):
    GroupMapping.objects.create(issuer="https://id.example", provider_group="sre", group=support)
    assert give(support, payments).source == Grant.Source.SSO_GROUP


def test_grant_to_a_group_filled_by_hand_is_given_by_hand(support, payments):
    assert give(support, payments).source == Grant.Source.BY_HAND


# Ending ---------------------------------------------------------------------------------------------------------------


def test_grant_is_revoked_once(alice, payments):
    grant = give(alice, payments)
    revoke_grant(grant, actor=OPERATOR, reason="test")
    with pytest.raises(GrantRefused):
        revoke_grant(grant, actor=OPERATOR, reason="test")


def test_expired_grant_is_not_revoked(alice, payments):
    grant = give(alice, payments, ends_at=timezone.now() + HOUR)
    Grant.objects.update(starts_at=timezone.now() - 2 * HOUR, ends_at=timezone.now() - HOUR)
    with pytest.raises(GrantRefused, match="ended already"):
        revoke_grant(grant, actor=OPERATOR, reason="test")


def test_grant_that_has_not_begun_can_be_revoked(alice, payments):
    grant = give(alice, payments, starts_at=timezone.now() + HOUR)
    revoke_grant(grant, actor=OPERATOR, reason="test")
    assert Grant.objects.get().state == "revoked"


@pytest.mark.parametrize("reason", ["", " ", "x" * 201])
def test_revoking_needs_a_usable_reason(alice, payments, reason):
    with pytest.raises(GrantRefused):
        revoke_grant(give(alice, payments), actor=OPERATOR, reason=reason)


def test_revoked_grant_is_refused_on_the_next_request(browser):
    assert browser.call("/decode").status_code == 200
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="test")
    assert browser.call("/decode").status_code == 403


# What the database refuses, whoever writes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"user": None},
        {"decode": False},
        {"ends_at": timezone.now() - 2 * HOUR},
        {"source": "friendship"},
        {"source": "break-glass", "ends_at": None},
    ],
    ids=["to nobody", "nothing", "ends before it starts", "unknown source", "endless break-glass"],
)
def test_database_refuses_a_grant(alice, payments, changed):
    now = timezone.now()
    sensible = {"user": alice, "namespace": payments, "decode": True, "starts_at": now - HOUR, "granted_at": now}
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.create(**(sensible | changed))


def test_database_refuses_a_grant_to_a_user_and_a_group(alice, support, payments):
    grant = give(alice, payments)
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(group=support)


def test_group_with_grants_is_not_deleted(support, payments):
    give(support, payments)
    with pytest.raises(ProtectedError):
        support.delete()


def test_grants_are_per_namespace(alice, payments):
    give(alice, payments)
    give(alice, create_namespace("refunds", actor=OPERATOR))
    assert grants_in_force(alice).count() == 2
