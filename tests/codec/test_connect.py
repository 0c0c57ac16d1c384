"""The Connect page: exact values to enter, and what arrived from this browser."""

import html
import re

import pytest
from django.conf import settings as django_settings
from django.test import Client

from codec.connect import ERROR_MESSAGE, snippets
from codec.grants import give_grant, revoke_grant
from codec.models import Grant
from codec.observations import KEPT_SECONDS, observations
from keys.rotation import create_namespace
from tests.conftest import OPERATOR, PLAIN, UI_ORIGIN, CodecClient, signed_in

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
ISSUER = {"name": "idp", "url": "https://idp.example.com/", "audiences": ["codec"]}


def page_of(client, query=""):
    return html.unescape(client.get(f"/connect/{query}").content.decode())


def seen_by(client):
    return client.get("/connect/seen/").json()


# Values ---------------------------------------------------------------------------------------------------------------


def test_connect_needs_a_session(db):
    assert Client().get("/connect/")["Location"] == "/login/?next=/connect/"


def test_environment_of_the_web_ui_is_exact(browser, settings):
    lines = snippets("payments")["web_ui"].splitlines()
    assert lines == [
        f"TEMPORAL_CODEC_ENDPOINT={settings.CODEC_PUBLIC_URL}",
        "TEMPORAL_CODEC_INCLUDE_CREDENTIALS=true",
        "TEMPORAL_CODEC_PASS_ACCESS_TOKEN=false",
        f"TEMPORAL_CODEC_DEFAULT_ERROR_MESSAGE={ERROR_MESSAGE}",
        f"TEMPORAL_CODEC_DEFAULT_ERROR_LINK={settings.CODEC_PUBLIC_URL}/",
    ]


def test_error_message_survives_yaml_without_quotes():
    assert not re.search(r"[:#'\"{}\[\]]|^\W", ERROR_MESSAGE)


@pytest.mark.parametrize("name", ["web_ui", "terraform", "cli", "cli_env", "go", "java"])
def test_each_text_stands_on_the_page_as_it_is(browser, settings, name):
    settings.HTTPS = True
    assert snippets("payments")[name] in page_of(browser)


@pytest.mark.parametrize("name", ["cli", "cli_env", "go", "java"])
def test_texts_name_endpoint_and_namespace(browser, settings, name):
    text = snippets("payments")[name]
    assert settings.CODEC_PUBLIC_URL in text
    assert "payments" in text


def test_cli_texts_use_the_placeholder_and_the_token(browser):
    assert "/{namespace}'" in snippets("payments")["cli_env"]
    assert '"Bearer $CODEC_TOKEN"' in snippets("payments")["cli"]


def test_texts_for_tokens_stand_there_only_when_tokens_are_taken(browser, settings):
    assert "PASS_ACCESS_TOKEN=true" not in page_of(browser)
    settings.CODEC_TOKEN_ISSUERS = [ISSUER]
    assert "PASS_ACCESS_TOKEN=true" in page_of(browser)


def test_cloud_is_told_what_is_missing(browser, settings):
    page = page_of(browser)
    assert "https://cloud.temporal.io is not in" in re.sub(r"<[^>]+>", "", page)
    assert "Temporal Cloud takes https endpoints only" in page
    settings.CODEC_UI_ORIGINS = ["https://cloud.temporal.io"]
    settings.HTTPS = True
    page = page_of(browser)
    assert "is not in" not in page
    assert "CODEC_CROSS_SITE_COOKIES=1" in page


def test_namespace_can_be_chosen_among_granted_ones(browser, alice):
    orders = create_namespace("orders", actor=OPERATOR)
    give_grant(alice, orders, decode=True, encode=False, actor=OPERATOR, reason="tests")
    page = page_of(browser, "?namespace=payments")
    assert "<option>orders</option><option selected>payments</option>" in page
    assert "--namespace payments" in page


def test_other_namespaces_are_not_named(browser):
    create_namespace("secret-project", actor=OPERATOR)
    page = page_of(browser, "?namespace=secret-project")
    assert "You have no grant on that namespace" in page
    assert "secret-project" not in page


def test_made_up_namespace_is_answered_alike(browser):
    create_namespace("secret-project", actor=OPERATOR)
    token = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    pages = [token.sub("", page_of(browser, f"?namespace={name}")) for name in ("secret-project", "absent-project")]
    assert pages[0].replace("secret", "absent") == pages[1]


def test_without_a_grant_the_page_says_what_to_do(mallorys_browser):
    page = page_of(mallorys_browser)
    assert "You have no grant yet" in page
    assert "YOUR_NAMESPACE" in page


# What arrived ---------------------------------------------------------------------------------------------------------


def test_nothing_has_arrived_yet(browser):
    page = page_of(browser)
    assert 'data-cause="nothing_arrived"' in page
    assert "Local Network Access" in page


def test_script_gets_the_cause_and_the_part_of_the_page(browser, encoded):
    browser.call("/decode", {"payloads": [encoded]})
    seen = seen_by(browser)
    assert (seen["cause"], seen["title"]) == ("works", "Temporal's page is connected")
    assert 'data-cause="works"' in seen["html"]


def test_script_is_told_when_the_session_is_over(db):
    assert Client().get("/connect/seen/").status_code == 401


@pytest.mark.parametrize("path", ["/connect/", "/connect/seen/"])
def test_nothing_is_kept_by_the_browser(browser, path):
    assert "no-store" in browser.get(path)["Cache-Control"]


def test_refused_origin_is_the_cause(browser):
    browser.options("/decode", headers={"Origin": "https://evil.example", **PREFLIGHT})
    assert seen_by(browser)["cause"] == "origin_not_allowed"


def test_wrong_path_is_the_cause(browser):
    browser.options("/codec", headers={"Origin": UI_ORIGIN, **PREFLIGHT})
    assert seen_by(browser)["cause"] == "wrong_path"


def test_missing_cookie_is_the_cause(browser):
    CodecClient().call("/decode")
    assert seen_by(browser)["cause"] == "credentials_off"


def test_request_from_before_the_sign_in_is_no_fault(alice, payments):
    CodecClient().call("/decode")
    assert seen_by(signed_in(alice))["cause"] == "not_signed_in_then"


def test_ended_session_is_the_cause(alice, payments):
    former = signed_in(alice)
    cookie = former.cookies[django_settings.SESSION_COOKIE_NAME].value
    former.logout()
    former.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
    former.call("/decode")
    assert seen_by(signed_in(alice))["cause"] == "session_ended"


def test_revoked_grant_is_the_cause(browser):
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="tests")
    browser.call("/decode", {"payloads": [PLAIN]})
    assert seen_by(browser)["cause"] == "no_grant"


def test_damaged_payload_is_the_cause(browser, encoded):
    browser.call("/decode", {"payloads": [encoded | {"data": encoded["data"][:-8] + "AAAAAAA="}]})
    assert seen_by(browser)["cause"] == "undecodable"


def test_colleague_at_the_same_address_sees_nothing_of_it(browser, bobs_browser, encoded):
    browser.call("/decode", {"payloads": [encoded]})
    seen = seen_by(bobs_browser)
    assert seen["cause"] == "another_account"
    assert "payments" not in seen["html"]
    assert "alice" not in seen["html"]


def test_what_arrived_is_shown_escaped(browser):
    browser.options("/<script>", headers={"Origin": "<img src=x>", **PREFLIGHT})
    assert "<script" not in seen_by(browser)["html"]
    assert "<img" not in seen_by(browser)["html"]


def test_what_arrived_is_forgotten(browser, encoded, monkeypatch):
    browser.call("/decode", {"payloads": [encoded]})
    now = observations._clock()
    monkeypatch.setattr(observations, "_clock", lambda: now + KEPT_SECONDS + 1)
    assert seen_by(browser)["cause"] == "nothing_arrived"


def test_page_without_script_reloads_only_when_asked(browser):
    assert 'http-equiv="refresh"' not in page_of(browser)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page_of(browser, "?watch=1")


def test_page_has_nothing_that_its_content_security_policy_forbids(browser):
    page = page_of(browser)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)


def test_address_behind_a_proxy_is_the_clients(alice, payments, settings):
    settings.CODEC_TRUSTED_PROXIES = 1
    alices, others = signed_in(alice), Client()
    others.options("/decode", headers={"Origin": "https://x.example", "X-Forwarded-For": "192.0.2.9", **PREFLIGHT})
    here = alices.get("/connect/seen/", headers={"X-Forwarded-For": "192.0.2.8"})
    there = alices.get("/connect/seen/", headers={"X-Forwarded-For": "192.0.2.9"})
    assert (here.json()["cause"], there.json()["cause"]) == ("nothing_arrived", "origin_not_allowed")
