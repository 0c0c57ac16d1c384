"""Nobody joins a group that has rights by their own hand."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from codec import memberships
from codec.grants import give_grant
from codec.models import Grant, NamespacePolicy, User
from keys import actor
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord
from tests.conftest import OPERATOR

PAGE = "/admin/codec/user/{}/change/"


@pytest.fixture
def support(db) -> Group:
    return Group.objects.create(name="support")


@pytest.fixture
def granted_group(support, payments) -> Group:
    give_grant(support, payments, decode=True, actor=OPERATOR, reason="test")
    return support


@pytest.fixture
def breaking_group(support, payments) -> Group:
    NamespacePolicy.objects.create(namespace=payments, break_glass_group=support)
    return support


@pytest.fixture
def owning_group(support, payments) -> Group:
    service = User.objects.create(username="batch", password="!", is_service=True, owner_group=support)
    give_grant(service, payments, decode=True, actor=OPERATOR, reason="test")
    return support


OPENING = ["granted_group", "breaking_group", "owning_group"]


@pytest.fixture
def acting_as():
    """Return a function that makes somebody the one who acts."""

    def act_as(user: User) -> None:
        actor.set_current(lambda: Actor(kind=ActorKind.USER, id=str(user.pk), name=user.username))

    yield act_as
    actor.set_current(None)


def save_groups(browser, user: User, *groups: Group):
    """Send the page of a user, as its form has it, with these groups."""
    form = {"username": user.username, "email": user.email, "is_active": "on"}
    form |= {name: "on" for name in ("is_staff", "is_superuser") if getattr(user, name)}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "groups": [group.pk for group in groups]}
    return browser.post(PAGE.format(user.pk), form, follow=True).content.decode()


@pytest.mark.parametrize("kind", OPENING)
def test_page_refuses_to_add_oneself_and_records_it(bobs_browser, bob, kind, request):
    group = request.getfixturevalue(kind)
    assert "Nobody can add themselves to a group that has grants, or may take them: support." in save_groups(
        bobs_browser, bob, group
    )
    assert not bob.groups.exists()
    record = AuditRecord.objects.latest("id")
    assert (record.action, record.outcome, record.reason) == ("user:groups-changed", "denied", "to_oneself")


@pytest.mark.parametrize("kind", OPENING)
def test_page_adds_somebody_else(bobs_browser, alice, kind, request):
    save_groups(bobs_browser, alice, request.getfixturevalue(kind))
    assert alice.groups.exists()


def test_page_adds_oneself_to_a_group_without_rights(bobs_browser, bob, support):
    save_groups(bobs_browser, bob, support)
    assert bob.groups.get() == support


def test_page_keeps_who_is_in_the_group_already(bobs_browser, bob, granted_group):
    bob.groups.add(granted_group)
    save_groups(bobs_browser, bob, granted_group)
    assert bob.groups.get() == granted_group


@pytest.mark.parametrize("kind", OPENING)
def test_no_other_way_adds_oneself(bob, acting_as, kind, request):
    group = request.getfixturevalue(kind)
    acting_as(bob)
    with pytest.raises(PermissionDenied), transaction.atomic():
        bob.groups.add(group)
    with pytest.raises(PermissionDenied), transaction.atomic():
        group.user_set.add(bob)
    with pytest.raises(PermissionDenied), transaction.atomic():
        bob.groups.set([group])


def test_another_person_is_added(alice, bob, acting_as, granted_group):
    acting_as(bob)
    granted_group.user_set.add(alice)
    assert alice.groups.exists()


def test_oneself_is_taken_out(bob, acting_as, granted_group):
    bob.groups.add(granted_group)
    acting_as(bob)
    bob.groups.remove(granted_group)
    assert not bob.groups.exists()


def test_command_line_adds_anybody(bob, granted_group):
    bob.groups.add(granted_group)
    assert bob.groups.exists()


def test_provider_adds_who_signs_in(bob, acting_as, granted_group):
    acting_as(bob)
    with memberships.by_provider():
        bob.groups.add(granted_group)
    assert bob.groups.exists()


def test_what_the_provider_gives_is_over_when_its_block_is(bob, acting_as, granted_group):
    acting_as(bob)
    with memberships.by_provider():
        pass
    with pytest.raises(PermissionDenied), transaction.atomic():
        bob.groups.add(granted_group)


def test_group_whose_grants_are_over_opens_nothing(bob, acting_as, granted_group):
    long_ago = timezone.now() - timedelta(days=2)
    Grant.objects.update(starts_at=long_ago, ends_at=long_ago + timedelta(days=1))
    acting_as(bob)
    bob.groups.add(granted_group)
    assert bob.groups.exists()


def test_group_whose_grants_are_to_come_opens_something(bob, acting_as, support, payments):
    later = timezone.now() + timedelta(days=1)
    give_grant(support, payments, decode=True, starts_at=later, actor=OPERATOR, reason="test")
    acting_as(bob)
    with pytest.raises(PermissionDenied), transaction.atomic():
        bob.groups.add(support)
