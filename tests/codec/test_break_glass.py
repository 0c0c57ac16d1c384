"""Break-glass: who may, for how long, and how everybody sees it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from codec import break_glass
from codec.attention import attention
from codec.break_glass import BreakGlassRefused, NotPermitted
from codec.grants import GrantRefused, revoke_grant
from codec.models import Grant, NamespacePolicy
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord, KeyVersion, Namespace
from tests.conftest import OPERATOR, CodecClient, signed_in

PAGE = "/access/break-glass/"
FORM = {"namespace": "payments", "minutes": 15, "reason": "payments are down"}


@pytest.fixture
def breaker(alice, payments) -> Actor:
    """alice may break the glass of payments, for 30 minutes."""
    group = Group.objects.create(name="on-call")
    alice.groups.add(group)
    NamespacePolicy.objects.create(namespace=payments, break_glass_group=group, break_glass_minutes=30)
    return Actor(kind=ActorKind.USER, id=str(alice.pk), name="alice")


@pytest.fixture
def alices_browser(alice, breaker, canary_key: KeyVersion) -> CodecClient:
    return signed_in(alice)


@pytest.fixture
def taken(alices_browser) -> Grant:
    alices_browser.post(PAGE, FORM)
    return Grant.objects.get()


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


def test_member_takes_a_short_grant_to_decode_at_once(alices_browser, taken):
    assert (taken.user.username, taken.verbs, taken.source) == ("alice", "decode", "break-glass")
    assert taken.ends_at - taken.starts_at == timedelta(minutes=15)
    assert alices_browser.call("/decode").status_code == 200
    assert alices_browser.call("/encode").status_code == 403


def test_it_ends_by_itself(alices_browser, taken):
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Grant.objects.update(starts_at=an_hour_ago, ends_at=an_hour_ago + timedelta(minutes=15))
    assert alices_browser.call("/decode").status_code == 403


def test_it_can_be_revoked(alices_browser, taken):
    revoke_grant(taken, actor=OPERATOR, reason="not in order")
    assert alices_browser.call("/decode").status_code == 403


# Marked everywhere ----------------------------------------------------------------------------------------------------


def test_taking_it_is_recorded_as_what_it_is(taken):
    record = last("grant:given")
    assert (record.reason, record.outcome, record.actor_name) == ("break_glass", "allowed", "alice")
    assert (record.details["source"], record.details["reason"]) == ("break-glass", "payments are down")


def test_every_decode_that_rests_on_it_is_marked(alices_browser, taken):
    alices_browser.call("/decode")
    record = last("payload:decoded")
    assert (record.outcome, record.reason, record.details["grant"]) == ("allowed", "break_glass", taken.pk)


def test_decode_by_an_ordinary_grant_is_not_marked(browser):
    browser.call("/decode")
    assert last("payload:decoded").reason == ""


def test_own_start_page_says_so(alices_browser, taken):
    alices_browser.call("/decode")
    page = alices_browser.get("/").content.decode()
    assert "You are using break-glass access to" in page
    assert page.count('<span class="tag warn">break-glass</span>') == 2  # the grant, and what was decoded by it


def test_approvers_start_page_and_the_administration_say_so(bobs_browser, bob, taken):
    assert "alice is using break-glass access to" in bobs_browser.get("/").content.decode()
    assert any("alice uses break-glass on payments" in item.text and item.urgent for item in attention(bob))
    assert "break-glass" in bobs_browser.get("/admin/codec/grant/").content.decode()


def test_others_do_not_see_it(mallory, taken):
    assert "break-glass" not in signed_in(mallory).get("/").content.decode()


def test_nothing_says_so_when_it_is_over(alices_browser, bobs_browser, taken):
    revoke_grant(taken, actor=OPERATOR, reason="done")
    for browser in (alices_browser, bobs_browser):
        assert "using break-glass" not in browser.get("/").content.decode()


# Who may not ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["mallory", "bob"])
def test_who_is_not_in_the_group_finds_no_page_and_takes_nothing(breaker, who, request):
    browser = signed_in(request.getfixturevalue(who))
    assert browser.get(PAGE).status_code == browser.post(PAGE, FORM).status_code == 404
    assert not Grant.objects.exists()
    record = last("grant:given")
    assert (record.outcome, record.reason, record.namespace) == ("denied", "break_glass_not_permitted", "payments")


@pytest.mark.parametrize("name", ["refunds", "nowhere"])
def test_namespace_that_does_not_permit_it_is_as_if_it_did_not_exist(alice, breaker, name):
    Namespace.objects.create(name="refunds")
    with pytest.raises(NotPermitted, match="You may not take break-glass"):
        break_glass.take(alice, name, minutes=5, reason="test", actor=breaker)
    assert not Grant.objects.exists()


def test_policy_without_a_group_permits_nobody(alice, breaker):
    NamespacePolicy.objects.update(break_glass_group=None)
    with pytest.raises(NotPermitted):
        break_glass.take(alice, "payments", minutes=5, reason="test", actor=breaker)


def test_who_has_left_the_group_takes_nothing(alice, breaker):
    alice.groups.clear()
    with pytest.raises(NotPermitted):
        break_glass.take(alice, "payments", minutes=5, reason="test", actor=breaker)


def test_retired_namespace_is_not_opened(alice, breaker):
    Namespace.objects.update(retired_at=timezone.now())
    with pytest.raises(NotPermitted):
        break_glass.take(alice, "payments", minutes=5, reason="test", actor=breaker)


@pytest.mark.parametrize("minutes", [0, 31])
def test_policy_bounds_the_time(alice, breaker, minutes):
    with pytest.raises(BreakGlassRefused, match="from 1 to 30"):
        break_glass.take(alice, "payments", minutes=minutes, reason="test", actor=breaker)


def test_it_needs_a_reason(alice, breaker):
    with pytest.raises(GrantRefused):
        break_glass.take(alice, "payments", minutes=5, reason=" ", actor=breaker)


def test_it_is_not_prolonged_while_it_lasts(alices_browser, taken):
    assert b"already" in alices_browser.post(PAGE, FORM).content
    assert Grant.objects.count() == 1


def test_it_cannot_be_taken_without_a_form_token(alice, breaker):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(alice)
    assert thief.post(PAGE, FORM).status_code == 403
    assert not Grant.objects.exists()


def test_it_is_not_taken_when_it_cannot_be_recorded(alice, breaker, audit_unwritable):
    with pytest.raises(Exception, match="unwritable"):
        break_glass.take(alice, "payments", minutes=5, reason="test", actor=breaker)
    assert not Grant.objects.exists()
