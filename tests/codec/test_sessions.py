"""The session cookie: what is stored, and everything that ends it."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from codec.models import UserSession
from codec.session_store import SessionStore, digest
from tests import canary
from tests.conftest import CodecClient, signed_in


def cookie(client: CodecClient) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def test_cookie_is_bound_to_this_host_and_hidden_from_scripts(alice):
    client = CodecClient()
    client.post("/login/", {"username": "alice", "password": canary.PASSWORD})
    morsel = client.cookies["__Host-codecsid"]
    assert morsel["secure"]
    assert morsel["httponly"]
    assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("Lax", "/", "")


def test_table_holds_only_the_digest_of_the_cookie(browser, alice):
    row = UserSession.objects.get()
    assert (row.session_key, row.user_id) == (digest(cookie(browser)), alice.pk)
    assert cookie(browser) not in repr(UserSession.objects.values())
    assert not Session.objects.exists()


def test_stored_digest_is_no_cookie(browser):
    thief = CodecClient()
    thief.cookies[settings.SESSION_COOKIE_NAME] = UserSession.objects.get().session_key
    assert thief.call("/decode").status_code == 401


def test_signing_in_makes_a_new_cookie(alice):
    client = CodecClient()
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    client.post("/login/", {"username": "alice", "password": canary.PASSWORD})
    assert cookie(client) != "a" * 32


def test_signing_out_ends_the_session_on_the_server(browser):
    stolen = cookie(browser)
    browser.post("/logout/")
    thief = CodecClient()
    thief.cookies[settings.SESSION_COOKIE_NAME] = stolen
    assert thief.call("/decode").status_code == 401


def test_expired_session_is_401(browser):
    UserSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert browser.call("/decode").status_code == 401


def test_saving_a_session_does_not_prolong_it(browser):
    ends = UserSession.objects.get().expire_date
    session = SessionStore(cookie(browser))
    session["anything"] = 1
    session.save()
    assert abs(UserSession.objects.get().expire_date - ends) < timedelta(seconds=2)


def test_disabled_user_is_401_at_once(browser, alice):
    alice.is_active = False
    alice.save()
    assert browser.call("/decode").status_code == 401


def test_new_password_ends_the_session(browser, alice):
    alice.set_password("another-password-51")
    alice.save()
    assert browser.call("/decode").status_code == 401


def test_one_delete_ends_all_sessions_of_a_user(browser, alice):
    other = signed_in(alice)
    UserSession.objects.filter(user_id=alice.pk).delete()
    assert [client.call("/decode").status_code for client in (browser, other)] == [401, 401]


def test_session_without_a_user_is_401(payments):
    client = CodecClient()
    client.get("/login/")
    session = SessionStore()
    session["anything"] = 1
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert client.call("/decode").status_code == 401


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "\x00" * 32, "' OR 1=1 --"])
def test_nonsense_cookie_is_401(payments, value):
    client = CodecClient()
    client.cookies[settings.SESSION_COOKIE_NAME] = value
    assert client.call("/decode").status_code == 401
