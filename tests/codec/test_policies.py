"""Who answers requests for a namespace, who may break the glass there, and who may say so."""

import pytest
from django.contrib.auth.models import Group, Permission

from codec import policies
from codec.models import NamespacePolicy, User
from codec.policies import PolicyRefused
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord
from keys.rotation import create_namespace
from tests import canary
from tests.conftest import OPERATOR, signed_in

ADD = "/admin/codec/namespacepolicy/add/"


@pytest.fixture
def sre(alice) -> Group:
    """A group that alice is in."""
    group = Group.objects.create(name="sre")
    alice.groups.add(group)
    return group


def policy_form(namespace, **changed):
    form = {"namespace": namespace.pk, "max_request_hours": 8, "break_glass_minutes": 30}
    return form | changed


def test_without_a_policy_who_may_give_grants_approves(alice, bob, mallory, payments):
    alice.user_permissions.add(Permission.objects.get(codename="add_grant"))
    assert set(policies.approvers_of(payments)) == {alice, bob}


def test_policy_without_a_group_changes_nothing(bob, payments):
    NamespacePolicy.objects.create(namespace=payments)
    assert set(policies.approvers_of(payments)) == {bob}


def test_named_group_approves_and_nobody_else(alice, bob, sre, payments):
    NamespacePolicy.objects.create(namespace=payments, approvers=sre)
    assert set(policies.approvers_of(payments)) == {alice}


def test_disabled_people_and_services_do_not_approve(alice, sre, payments):
    NamespacePolicy.objects.create(namespace=payments, approvers=sre)
    User.objects.create(username="batch", password="!", is_service=True, owner_group=sre).groups.add(sre)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert not policies.approvers_of(payments).exists()


@pytest.mark.parametrize("named", [True, False])
def test_both_ways_of_asking_who_approves_agree(alice, bob, mallory, sre, payments, named):
    NamespacePolicy.objects.create(namespace=payments, approvers=sre if named else None)
    for person in (alice, bob, mallory):
        assert policies.may_approve(person, payments) == (payments in policies.approvable(person))


def test_retired_namespace_has_nothing_to_approve_or_break(alice, bob, sre, payments):
    NamespacePolicy.objects.create(namespace=payments, break_glass_group=sre)
    type(payments).objects.update(retired_at="2026-01-01T00:00Z")
    assert not policies.approvable(bob).exists()
    assert not policies.breakable(alice).exists()


def test_glass_is_broken_by_members_where_the_policy_says_so(alice, bob, sre, payments):
    create_namespace("refunds", actor=OPERATOR)
    NamespacePolicy.objects.create(namespace=payments, break_glass_group=sre)
    assert list(policies.breakable(alice)) == [payments]
    assert not policies.breakable(bob).exists()


# Changing it ----------------------------------------------------------------------------------------------------------


def test_change_is_recorded(bobs_browser, sre, payments):
    bobs_browser.post(ADD, policy_form(payments, approvers=sre.pk, break_glass_group=sre.pk))
    policy = NamespacePolicy.objects.get()
    assert (policy.approvers, policy.break_glass_group, policy.max_request_hours) == (sre, sre, 8)
    record = AuditRecord.objects.get(action="namespace:policy-changed")
    assert (record.namespace, record.actor_name, record.details["changes"]["break_glass_group"]) == (
        "payments",
        "bob",
        "sre",
    )


def test_nobody_permits_break_glass_to_themselves(bobs_browser, bob, sre, payments):
    bob.groups.add(sre)
    page = bobs_browser.post(ADD, policy_form(payments, break_glass_group=sre.pk)).content.decode()
    assert "Nobody can permit break-glass to themselves" in page
    assert not NamespacePolicy.objects.exists()
    record = AuditRecord.objects.get(action="namespace:policy-changed")
    assert (record.outcome, record.reason, record.namespace) == ("denied", "to_oneself", "payments")


def test_writer_refuses_it_too(bob, sre, payments):
    bob.groups.add(sre)
    policy = NamespacePolicy(namespace=payments, break_glass_group=sre)
    with pytest.raises(PolicyRefused):
        policies.save_policy(
            policy, {"break_glass_group": sre}, actor=Actor(kind=ActorKind.USER, id=str(bob.pk), name="bob")
        )


def test_policy_that_permits_it_already_can_be_changed_otherwise(bobs_browser, bob, sre, payments):
    policy = NamespacePolicy.objects.create(namespace=payments, break_glass_group=sre)
    bob.groups.add(sre)
    page = f"/admin/codec/namespacepolicy/{policy.pk}/change/"
    bobs_browser.post(page, policy_form(payments, break_glass_group=sre.pk, max_request_hours=2))
    assert NamespacePolicy.objects.get().max_request_hours == 2


@pytest.mark.parametrize("wrong", [{"max_request_hours": 0}, {"break_glass_minutes": 1441}])
def test_policy_without_bounds_is_refused(bobs_browser, payments, wrong):
    bobs_browser.post(ADD, policy_form(payments, **wrong))
    assert not NamespacePolicy.objects.exists()


def test_policies_are_not_deleted(bobs_browser, payments):
    policy = NamespacePolicy.objects.create(namespace=payments)
    page = f"/admin/codec/namespacepolicy/{policy.pk}/delete/"
    assert bobs_browser.post(page, {"post": "yes"}).status_code == 403


def test_who_gives_grants_does_not_change_policies(payments):
    carol = User.objects.create_user("carol", password=canary.PASSWORD, is_staff=True)
    carol.user_permissions.set(Permission.objects.filter(codename__in=["add_grant", "view_namespacepolicy"]))
    assert signed_in(carol).post(ADD, policy_form(payments)).status_code == 403


def test_page_of_a_namespace_leads_to_its_policy(bobs_browser, payments):
    page = f"/admin/keys/namespace/{payments.pk}/change/"
    assert f"{ADD}?namespace={payments.pk}" in bobs_browser.get(page).content.decode()
    policy = NamespacePolicy.objects.create(namespace=payments)
    assert f"/admin/codec/namespacepolicy/{policy.pk}/change/" in bobs_browser.get(page).content.decode()
