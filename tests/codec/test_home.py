"""My access: what a person may use and until when, what they asked for, and what was decoded for them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from codec import access_requests, tokens
from codec.grants import give_grant
from codec.last_refusal import unmet_namespace
from codec.models import Grant, GroupMapping, User
from codec.my_viewings import recent_viewings
from codec.tokens import Wish
from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction
from keys.models import AuditRecord, Namespace
from keys.rotation import create_namespace
from tests.conftest import OPERATOR, CodecClient, signed_in

LAPTOP = Wish(name="laptop", days=30, decode=True)
WHY = {"actor": OPERATOR, "reason": "on call"}
UI = "http://localhost:8080"


def home(browser: CodecClient) -> str:
    return browser.get("/").content.decode()


# What one may use -----------------------------------------------------------------------------------------------------


def test_grant_says_until_when(alice, payments):
    end = timezone.now() + timedelta(days=3)
    give_grant(alice, payments, decode=True, ends_at=end, **WHY)
    assert f'Until <time datetime="{end.isoformat(timespec="seconds")[:19]}' in home(signed_in(alice)).replace(
        "  ", " "
    )


def test_open_ended_grant_says_so(browser):
    assert "No end" in home(browser)


def test_grant_of_a_group_names_the_group(alice, payments):
    group = Group.objects.create(name="support")
    alice.groups.add(group)
    GroupMapping.objects.create(issuer="https://id.example", provider_group="sre", group=group)
    give_grant(group, payments, decode=True, **WHY)
    assert "through the group support, which your identity provider fills" in home(signed_in(alice))


def test_grant_to_come_says_from_when(alice, payments):
    give_grant(alice, payments, decode=True, starts_at=timezone.now() + timedelta(days=1), **WHY)
    assert '<span class="tag">not yet</span>' in home(signed_in(alice))


def test_what_is_over_is_not_listed(browser):
    now = timezone.now()
    Grant.objects.update(starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1))
    assert "You have no grant now" in home(browser)


def test_without_anything_the_page_says_what_to_do_next(mallory):
    page = home(signed_in(mallory))
    assert "Request access" in page
    assert "Nothing yet." in page


def test_tokens_in_force_are_named_with_their_end(alice, browser):
    token, _ = tokens.make_token(alice, LAPTOP, actor=OPERATOR)
    page = home(browser)
    assert "1 in force" in page
    assert f'laptop until <time datetime="{token.expires_at:%Y-%m-%d}' in page


def test_revoked_token_is_not_named(alice, browser):
    token, _ = tokens.make_token(alice, LAPTOP, actor=OPERATOR)
    tokens.revoke_token(token, actor=OPERATOR, reason="lost")
    assert "laptop" not in home(browser)


def test_token_of_another_is_not_named(mallory, browser):
    tokens.make_token(mallory, LAPTOP, actor=OPERATOR)
    assert "laptop" not in home(browser)


def test_open_sessions_are_counted(alice, mallory, browser):
    signed_in(alice)
    signed_in(mallory)
    assert "2 open." in home(browser)


def test_page_links_to_tokens_and_sessions(browser):
    page = home(browser)
    assert 'href="/tokens/"' in page
    assert 'href="/sessions/"' in page


# The last refusal -----------------------------------------------------------------------------------------------------


def test_refused_namespace_is_offered(mallorys_browser, mallory):
    mallorys_browser.call("/decode")
    assert 'href="/access/request/?namespace=payments"' in home(mallorys_browser)


def test_refused_namespace_that_is_asked_for_already_is_not_offered(mallorys_browser, mallory):
    mallorys_browser.call("/decode")
    access_requests.ask(mallory, "payments", hours=8, reason="on call", actor=OPERATOR)
    assert "?namespace=payments" not in home(mallorys_browser)


def test_namespace_that_does_not_exist_is_offered_alike(mallorys_browser):
    mallorys_browser.call("/decode", namespace="nowhere")
    assert 'href="/access/request/?namespace=nowhere"' in home(mallorys_browser)


def test_namespace_that_can_be_read_by_now_is_not_offered(mallorys_browser, mallory, payments):
    mallorys_browser.call("/decode")
    give_grant(mallory, payments, decode=True, **WHY)
    assert unmet_namespace(mallory) == ""


def test_refusal_of_the_day_before_is_past(mallorys_browser, mallory, monkeypatch):
    mallorys_browser.call("/decode")
    later = timezone.now() + timedelta(hours=25)
    monkeypatch.setattr("codec.last_refusal.timezone.now", lambda: later)
    assert unmet_namespace(mallory) == ""


def test_refusal_of_another_person_is_not_offered(mallorys_browser, bob):
    mallorys_browser.call("/decode")
    assert unmet_namespace(bob) == ""


def test_last_of_several_refusals_counts(mallorys_browser, mallory):
    mallorys_browser.call("/decode")
    mallorys_browser.call("/decode", namespace="refunds")
    assert unmet_namespace(mallory) == "refunds"


# The way back to the Web UI -------------------------------------------------------------------------------------------


def way(browser: CodecClient, path: str) -> str:
    return browser.get("/login/", {"next": UI + path})["Location"]


def test_who_may_read_what_the_address_names_goes_back(browser):
    assert way(browser, "/namespaces/payments/workflows/x") == f"{UI}/namespaces/payments/workflows/x"


def test_who_may_not_is_led_to_where_to_ask(browser):
    assert way(browser, "/namespaces/refunds/workflows").startswith("/access/request/?namespace=refunds&next=http")


def test_address_without_a_namespace_is_about_the_last_refusal(browser, mallorys_browser):
    assert way(mallorys_browser, "/") == f"{UI}/"
    mallorys_browser.call("/decode")
    assert way(mallorys_browser, "/").startswith("/access/request/?namespace=payments")


@pytest.mark.parametrize("name", ["a%20b", "%3Cscript%3E", "..", ""])
def test_name_in_an_address_that_no_namespace_can_have_is_not_taken(browser, name):
    assert "/access/request/" not in way(browser, f"/namespaces/{name}/workflows")


def test_page_to_ask_on_leads_back_to_the_web_ui_and_nowhere_else(mallorys_browser):
    page = mallorys_browser.get("/access/request/", {"next": f"{UI}/namespaces/payments"}).content.decode()
    assert f'href="{UI}/namespaces/payments">Back to Temporal' in page
    page = mallorys_browser.get("/access/request/", {"next": "https://evil.example/"}).content.decode()
    assert "evil.example" not in page


def test_refused_codec_request_says_where_to_ask(mallorys_browser):
    sentence = "You do not have access to this namespace on the codec server. Ask for it at "
    for name in ("payments", "nowhere"):
        detail = mallorys_browser.call("/decode", namespace=name).json()["detail"]
        assert detail == f"{sentence}http://localhost:8888/access/request/"


# What was read -----------------------------------------------------------------------------------------------------


def record_decode(user: User, *, namespace: str = "payments", payloads: int = 2, **more: object) -> None:
    actor = Actor(kind=ActorKind.USER, id=str(user.pk), name=user.username)
    details = {"payloads": payloads}
    audit.record(AuditAction.PAYLOAD_DECODED, actor=actor, namespace=namespace, details=details, **more)


def test_requests_without_a_pause_stand_together(alice):
    for _ in range(3):
        record_decode(alice)
    (viewing,) = recent_viewings(alice)
    assert (viewing.namespace, viewing.requests, viewing.read) == ("payments", 3, 6)


def test_what_was_denied_and_what_an_emergency_allowed_is_told(alice):
    record_decode(alice, outcome=AuditRecord.Outcome.DENIED, reason="no_grant")
    record_decode(alice, outcome=AuditRecord.Outcome.FAILED, reason="damaged")
    record_decode(alice, reason="break_glass")
    page = home(signed_in(alice))
    assert all(told in page for told in ["1 denied", "1 failed", "break-glass"])


def test_what_others_did_and_other_acts_are_left_out(alice, mallory, payments):
    record_decode(mallory)
    give_grant(alice, payments, decode=True, **WHY)
    assert recent_viewings(alice) == []


def test_twenty_viewings_are_shown_the_latest_first(alice):
    for number in range(25):
        record_decode(alice, namespace=f"name-{number}")
    assert [viewing.namespace for viewing in recent_viewings(alice)] == [f"name-{n}" for n in range(24, 4, -1)]


def test_decode_in_the_browser_is_shown(browser, encoded):
    browser.call("/decode", {"payloads": [encoded]})
    assert "1 payload read" in home(browser)


def test_page_asks_no_more_of_the_database_for_more_rows(alice, django_assert_max_num_queries):
    for number in range(5):
        space = create_namespace(f"name-{number}", actor=OPERATOR)
        give_grant(alice, space, decode=True, **WHY)
        record_decode(alice, namespace=space.name)
    browser = signed_in(alice)
    home(browser)  # brings the viewings up to the audit
    with django_assert_max_num_queries(25):
        home(browser)
    assert Namespace.objects.count() == 5
