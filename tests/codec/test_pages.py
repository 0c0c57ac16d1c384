from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from tests import canary
from tests.conftest import UI_ORIGIN, signed_in

UI_PAGE = f"{UI_ORIGIN}/namespaces/payments/workflows?query=a%20b"


def sign_in(client: Client, **fields: str):
    return client.post("/login/", {"username": "alice", "password": canary.PASSWORD, **fields})


def test_sign_in_leads_back_to_the_web_ui(alice, granted):
    assert sign_in(Client(), next=UI_PAGE)["Location"] == UI_PAGE


def test_sign_in_of_who_may_not_read_there_leads_to_where_to_ask(alice, payments):
    where = urlsplit(sign_in(Client(), next=UI_PAGE)["Location"])
    assert (where.path, parse_qs(where.query)) == ("/access/request/", {"namespace": ["payments"], "next": [UI_PAGE]})


def test_somebody_signed_in_is_sent_back_at_once(browser):
    assert browser.get("/login/", {"next": UI_PAGE})["Location"] == UI_PAGE


def test_sign_in_without_next_leads_home(alice):
    assert sign_in(Client())["Location"] == "/"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_sign_in_never_leads_elsewhere(alice, target):
    assert sign_in(Client(), next=target)["Location"] == "/"


def test_wrong_password_shows_the_form_again(alice):
    answer = Client().post("/login/", {"username": "alice", "password": "wrong"})
    assert answer.status_code == 200
    assert b'name="username"' in answer.content


def test_sign_in_needs_the_csrf_token(alice):
    assert sign_in(Client(enforce_csrf_checks=True)).status_code == 403


def test_form_carries_next(db):
    page = Client().get("/login/", {"next": UI_PAGE}).content.decode()
    assert 'name="next"' in page
    assert f"{UI_ORIGIN}/namespaces/payments/workflows" in page


def test_home_needs_a_session(db):
    assert Client().get("/")["Location"] == "/login/?next=/"


def test_home_says_who_and_what(browser):
    page = browser.get("/").content.decode()
    assert "alice" in page
    assert "payments" in page


def test_home_without_grants_says_so(mallory):
    page = signed_in(mallory).get("/").content.decode()
    assert "mallory" in page
    assert "payments" not in page


def test_signing_out_takes_a_post(browser):
    assert browser.get("/logout/").status_code == 405


def test_form_may_lead_to_the_web_ui_by_content_security_policy(db):
    policy = Client().get("/login/")["Content-Security-Policy"]
    assert f"form-action 'self' {UI_ORIGIN}" in policy or UI_ORIGIN in policy.split("form-action")[1]


@pytest.mark.parametrize("path", ["/login/", "/", "/nowhere/"])
def test_page_carries_the_browser_headers(db, path):
    headers = Client().get(path, headers={"Accept": "text/html"}).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "object-src 'none'" in headers["Content-Security-Policy"]


def test_unknown_page_is_a_page_for_people(db):
    answer = Client().get("/nowhere/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_healthz_answers_without_a_database():
    assert Client().get("/healthz").status_code == 200
