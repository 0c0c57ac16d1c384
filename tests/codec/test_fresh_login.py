"""Dangerous acts take proof that it is still the same person: a password, or a fresh sign-in at the provider."""

import time

import pytest
from django.test import RequestFactory

from codec.fresh_login import is_fresh
from codec.models import Identity, User
from keys.models import AuditRecord, KeyVersion
from keys.rotation import publish_key
from tests import canary
from tests.codec.test_oidc import CALLBACK, provider, refused, who  # noqa: F401  provider is a fixture
from tests.conftest import OPERATOR, CodecClient
from tests.openid import SUBJECT, FakeProvider, begin, sign_in


@pytest.fixture
def spare_key(canary_key, payments) -> KeyVersion:
    return publish_key(payments, actor=OPERATOR, reason="a spare")


@pytest.fixture
def page(spare_key) -> str:
    return f"/admin/keys/keyversion/{spare_key.pk}/disable/"


@pytest.fixture
def bobs_sso(bob, provider) -> CodecClient:
    """bob's browser, signed in at the provider an hour ago."""
    Identity.objects.create(user=bob, issuer=provider.issuer, subject=SUBJECT)
    client = CodecClient()
    sign_in(client, provider)
    return client


def sign_in_again(client: CodecClient, provider: FakeProvider, page: str, **claims: object):
    provider.claims = {"auth_time": int(time.time()), **claims}
    return sign_in(client, provider, again="1", next=page)


def disable(client: CodecClient, page: str, **form: str) -> str:
    client.post(page, {"reason": "test", **form})
    return KeyVersion.objects.get(pk=page.split("/")[4]).state


def freshness(client: CodecClient, seconds: int = 300) -> bool:
    request = RequestFactory().get("/")
    request.session = client.session
    return is_fresh(request, seconds)


# Somebody who signed in at the provider -------------------------------------------------------------------------------


def test_page_asks_to_sign_in_again_and_not_for_a_password(bobs_sso, page):
    shown = bobs_sso.get(page).content.decode()
    assert f"/login/sso/?again=1&amp;next={page.replace('/', '%2F')}" in shown
    assert 'name="password"' not in shown
    assert 'name="reason"' not in shown


def test_nothing_happens_before_that(bobs_sso, page):
    assert disable(bobs_sso, page) == "ENABLED"
    assert disable(bobs_sso, page, password=canary.PASSWORD) == "ENABLED"


def test_provider_is_asked_to_make_them_sign_in_anew(bobs_sso, provider, page):
    begin(bobs_sso, provider, again="1", next=page)
    assert (provider.asked["prompt"], provider.asked["max_age"]) == ("login", "0")


def test_ordinary_sign_in_asks_for_no_more_than_a_session_at_the_provider(provider, db):
    begin(CodecClient(), provider)
    assert not {"prompt", "max_age"} & provider.asked.keys()


def test_after_it_the_act_is_possible(bobs_sso, provider, page):
    assert sign_in_again(bobs_sso, provider, page)["Location"] == page
    assert 'name="reason"' in bobs_sso.get(page).content.decode()
    assert disable(bobs_sso, page) == "DISABLED"


def test_it_makes_a_new_cookie(bobs_sso, provider, page):
    before = bobs_sso.session.session_key
    sign_in_again(bobs_sso, provider, page)
    assert bobs_sso.session.session_key != before


def test_after_five_minutes_it_counts_no_more(bobs_sso, provider, page, monkeypatch):
    sign_in_again(bobs_sso, provider, page)
    later = time.time() + 301
    monkeypatch.setattr("codec.fresh_login.time.time", lambda: later)
    assert disable(bobs_sso, page) == "ENABLED"


@pytest.mark.parametrize(
    "auth_time", [None, int(time.time()) - 3600, "now", True], ids=["none", "an hour ago", "text", "bool"]
)
def test_provider_that_does_not_show_it_proves_nothing(bobs_sso, provider, page, auth_time):
    refused(sign_in_again(bobs_sso, provider, page, auth_time=auth_time), 403, "not_fresh")
    assert who(bobs_sso) == "bob"
    assert disable(bobs_sso, page) == "ENABLED"


def test_another_person_proves_nothing(bobs_sso, provider, page, alice):
    Identity.objects.create(user=alice, issuer=provider.issuer, subject="alice")
    provider.userinfo["sub"] = "alice"
    refused(sign_in_again(bobs_sso, provider, page, sub="alice"), 403, "another_person")
    assert who(bobs_sso) == "bob"
    assert disable(bobs_sso, page) == "ENABLED"


def test_cancelling_leaves_everything_as_it_was(bobs_sso, provider, page):
    state = begin(bobs_sso, provider, again="1", next=page)["state"]
    refused(bobs_sso.get(CALLBACK, {"state": state, "error": "access_denied"}), 403, "provider_refused")
    assert who(bobs_sso) == "bob"
    assert disable(bobs_sso, page) == "ENABLED"


def test_it_is_recorded(bobs_sso, provider, page):
    sign_in_again(bobs_sso, provider, page)
    assert AuditRecord.objects.filter(action="session:started", actor_name="bob").count() == 2


def test_provider_that_cannot_be_asked_is_named_as_such(bobs_sso, page, monkeypatch, provider):
    monkeypatch.setattr("codec.oidc.conf._CANNOT_ASK_AGAIN", {provider.issuer})
    shown = bobs_sso.get(page).content.decode()
    assert "again=1" not in shown
    assert "command line" in shown


def test_somebody_with_a_password_too_is_asked_where_they_came_from(bobs_sso, page, bob):
    assert bob.has_usable_password()
    assert 'name="password"' not in bobs_sso.get(page).content.decode()


def test_acts_that_are_not_dangerous_ask_nothing(bobs_sso, canary_key, payments):
    bobs_sso.post(f"/admin/keys/namespace/{payments.pk}/rotate/", {"reason": "test"})
    assert payments.key_versions.count() == 3


# Somebody who signed in with a password -------------------------------------------------------------------------------


def test_password_sign_in_is_fresh_for_its_first_minutes(alice, monkeypatch):
    client = CodecClient()
    client.post("/login/", {"username": "alice", "password": canary.PASSWORD})
    assert freshness(client)
    later = time.time() + 301
    monkeypatch.setattr("codec.fresh_login.time.time", lambda: later)
    assert not freshness(client)


def test_sign_in_at_the_provider_is_fresh_only_if_it_says_so(bobs_sso, provider):
    assert not freshness(bobs_sso)
    provider.claims = {"auth_time": int(time.time())}
    sign_in(bobs_sso, provider)
    assert freshness(bobs_sso)


def test_visitor_is_not_fresh(db):
    assert not freshness(CodecClient())


def test_form_asks_for_the_password_however_fresh_the_sign_in(bob, page):
    client = CodecClient()
    client.post("/login/", {"username": "bob", "password": canary.PASSWORD})
    assert disable(client, page) == "ENABLED"
    assert disable(client, page, password=canary.PASSWORD) == "DISABLED"
    assert User.objects.get(username="bob").is_active
