"""Single sign-on at a provider that lies, errs and falls silent.

Each thing that mozilla-django-oidc 5.0.2 lets through as it comes, or answers with a page 500, has a test here.
"""

import base64
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from codec import refusals
from codec.models import GroupMapping, Identity, Invitation, ProvidedMembership, User, UserSession
from codec.oidc import discovery, newcomers
from keys.models import AuditRecord
from tests import canary
from tests.conftest import UI_ORIGIN, CodecClient
from tests.jwt_tools import jwk, rsa_key
from tests.openid import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, EMAIL, SUBJECT, FakeProvider, begin, sign_in

UI_PAGE = f"{UI_ORIGIN}/namespaces/payments/workflows"
CALLBACK = "/login/sso/callback/"
HOUR = 3600


@pytest.fixture
def provider(settings):
    fake = FakeProvider()
    configure(settings, fake.issuer)
    yield fake
    fake.stop()


def configure(settings, issuer: str) -> None:
    settings.CODEC_OIDC_ISSUER = issuer
    settings.OIDC_RP_CLIENT_ID = CLIENT_ID
    settings.OIDC_RP_CLIENT_SECRET = CLIENT_SECRET
    settings.AUTHENTICATION_BACKENDS = [
        "axes.backends.AxesStandaloneBackend",
        "codec.oidc.backend.OidcBackend",
        "django.contrib.auth.backends.ModelBackend",
    ]


@pytest.fixture
def visitor(db) -> CodecClient:
    return CodecClient()


@pytest.fixture
def bound(alice, provider) -> User:
    """alice has signed in at the provider before."""
    Identity.objects.create(user=alice, issuer=provider.issuer, subject=SUBJECT)
    return alice


@pytest.fixture
def invited(alice, provider) -> Invitation:
    return Invitation.objects.create(user=alice, email=EMAIL, issuer=provider.issuer, invited_by="bob")


def who(client: Client) -> str:
    """Return the name of who is signed in, or nothing."""
    user_id = client.session.get("_auth_user_id")
    return User.objects.get(pk=user_id).username if user_id else ""


def reason() -> str:
    return AuditRecord.objects.filter(action="session:sign-in-failed").latest("id").reason


def counted() -> list[str]:
    """Return why requests were refused before anybody was known."""
    refusals.flush()
    return list(AuditRecord.objects.filter(action="request:refused").values_list("reason", flat=True))


def refused(answer, status: int, because: str) -> None:
    """The answer is our page, the reason stands on it and in the audit."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert because in answer.content.decode()
    assert reason() == because


# The way in -----------------------------------------------------------------------------------------------------------


def test_known_person_is_signed_in(visitor, provider, bound):
    assert sign_in(visitor, provider)["Location"] == "/"
    assert who(visitor) == "alice"


def test_sign_in_leads_back_to_the_web_ui(visitor, provider, bound, granted):
    assert sign_in(visitor, provider, next=UI_PAGE)["Location"] == UI_PAGE


def test_sign_in_of_somebody_without_a_grant_leads_to_where_they_can_ask_for_one(visitor, provider, bound, payments):
    assert sign_in(visitor, provider, next=UI_PAGE)["Location"].startswith("/access/request/?namespace=payments")


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_sign_in_never_leads_elsewhere(visitor, provider, bound, target):
    assert sign_in(visitor, provider, next=target)["Location"] == "/"


def test_two_tabs_each_lead_to_their_own_page(visitor, provider, bound):
    first = begin(visitor, provider, next="/first")
    nonce = provider.asked["nonce"]
    begin(visitor, provider, next="/second")
    provider.asked["nonce"] = nonce
    assert visitor.get(CALLBACK, first)["Location"] == "/first"


def test_session_of_the_person_decodes(visitor, provider, bound, granted, canary_key):
    sign_in(visitor, provider)
    assert visitor.call("/decode").status_code == 200


def test_sign_in_is_recorded_with_how_and_where(visitor, provider, bound):
    sign_in(visitor, provider)
    record = AuditRecord.objects.get(action="session:started")
    assert (record.actor_name, record.details["by"], record.details["issuer"]) == ("alice", "sso", provider.issuer)


def test_sign_in_page_offers_the_provider_and_carries_next(visitor, provider, settings):
    settings.CODEC_OIDC_NAME = "Example SSO"
    page = visitor.get("/login/", {"next": UI_PAGE}).content.decode()
    assert "Sign in with Example SSO" in page
    assert "/login/sso/?next=http%3A%2F%2Flocalhost%3A8080%2Fnamespaces" in page


def test_sign_in_page_offers_no_provider_that_is_not_configured(visitor):
    assert "/login/sso/" not in visitor.get("/login/").content.decode()


@pytest.mark.parametrize("path", ["/login/sso/", CALLBACK])
def test_without_a_provider_there_is_no_such_page(visitor, path):
    assert visitor.get(path).status_code == 404


# What the provider is asked -------------------------------------------------------------------------------------------


def test_request_has_pkce_state_and_nonce(visitor, provider):
    begin(visitor, provider)
    assert (provider.asked["response_type"], provider.asked["code_challenge_method"]) == ("code", "S256")
    assert len(provider.asked["code_challenge"]) == 43
    assert len(provider.asked["state"]) >= 32
    assert len(provider.asked["nonce"]) >= 32
    assert (provider.asked["client_id"], provider.asked["scope"]) == (CLIENT_ID, "openid email profile")


def test_code_is_redeemed_with_its_verifier_and_our_secret(visitor, provider, bound):
    sign_in(visitor, provider)
    assert provider.verifier_fits()
    assert provider.token_request["code"] == "code-of-alice"
    basic = base64.b64decode(provider.token_authorization.removeprefix("Basic ")).decode()
    assert basic == f"{CLIENT_ID}:{CLIENT_SECRET}"
    assert "client_secret" not in provider.token_request


def test_secret_goes_into_the_form_where_the_provider_wants_it_there(visitor, provider, bound):
    provider.document["token_endpoint_auth_methods_supported"] = ["client_secret_post", "private_key_jwt"]
    sign_in(visitor, provider)
    assert (provider.token_request["client_secret"], provider.token_authorization) == (CLIENT_SECRET, "")


def test_redirect_uri_comes_from_the_public_url_whatever_the_host_header(visitor, provider, bound):
    visitor.get("/login/sso/", headers={"Host": "127.0.0.1:1"})
    uri = "http://localhost:8888/login/sso/callback/"
    sign_in(visitor, provider)
    assert (provider.asked["redirect_uri"], provider.token_request["redirect_uri"]) == (uri, uri)


# State, and the session -----------------------------------------------------------------------------------------------


def test_state_is_good_for_one_answer(visitor, provider, bound):
    answer = begin(visitor, provider)
    assert visitor.get(CALLBACK, answer).status_code == 302
    replayed = visitor.get(CALLBACK, answer)
    assert (replayed.status_code, "attempt_unknown" in replayed.content.decode()) == (400, True)
    assert counted() == ["attempt_unknown"]


def test_state_of_another_browser_is_refused(visitor, provider, bound):
    stolen = begin(CodecClient(), provider)
    begin(visitor, provider)
    assert visitor.get(CALLBACK, stolen).status_code == 400
    assert who(visitor) == ""
    assert counted() == ["attempt_unknown"]


@pytest.mark.parametrize("query", [{}, {"code": "x"}, {"state": "x"}, {"code": "x", "state": "x"}, {"error": "x"}])
def test_answer_that_nobody_asked_for_is_refused(visitor, provider, query):
    assert visitor.get(CALLBACK, query).status_code == 400


def test_answer_that_nobody_asked_for_leaves_the_session_alone(visitor, provider, bound):
    sign_in(visitor, provider)
    visitor.get(CALLBACK, {"error": "access_denied"})
    assert who(visitor) == "alice"


def test_old_state_is_refused(visitor, provider, bound, monkeypatch):
    answer = begin(visitor, provider)
    later = time.time() + 601
    monkeypatch.setattr("codec.oidc.attempts.time.time", lambda: later)
    assert visitor.get(CALLBACK, answer).status_code == 400


def test_attempt_that_leads_to_nothing_leaves_a_session_of_minutes(visitor, provider):
    begin(visitor, provider)
    assert UserSession.objects.get().expire_date < timezone.now() + timedelta(minutes=11)


def test_signing_in_makes_a_new_cookie_and_a_full_session(visitor, provider, bound):
    answer = begin(visitor, provider)
    before = visitor.cookies[django_settings.SESSION_COOKIE_NAME].value
    visitor.get(CALLBACK, answer)
    assert visitor.cookies[django_settings.SESSION_COOKIE_NAME].value != before
    assert UserSession.objects.get().expire_date > timezone.now() + timedelta(hours=7)


def test_no_token_is_kept_that_the_database_could_give_away(visitor, provider, bound):
    sign_in(visitor, provider)
    stored = str(dict(visitor.session.items()))
    assert ACCESS_TOKEN not in stored
    assert provider.id_token().split(".")[0] not in stored


# The ID token: each row is a token that must not sign anybody in ------------------------------------------------------

FOREIGN_CLAIMS: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    "expired": (lambda now: {"iat": now - 900, "exp": now - 600}, "id_token_expired"),
    "from the future": (lambda now: {"iat": now + 600, "exp": now + 900}, "id_token_not_yet_valid"),
    "not yet valid": (lambda now: {"nbf": now + 600}, "id_token_not_yet_valid"),
    "for ever": (lambda now: {"exp": None}, "id_token_claims"),
    "without iat": (lambda now: {"iat": None}, "id_token_claims"),
    "for a century": (lambda now: {"exp": now + 100 * 365 * 24 * HOUR}, "id_token_lifetime"),
    "beyond every calendar": (lambda now: {"exp": 10**30}, "id_token_lifetime"),
    "exp as text": (lambda now: {"exp": str(now + 300)}, "id_token_claims"),
    "exp as a list": (lambda now: {"exp": [now + 300]}, "id_token_malformed"),
    "exp without end": (lambda now: {"exp": float("inf")}, "id_token_malformed"),
    "of another client": (lambda now: {"aud": "another-client"}, "id_token_audience"),
    "without audience": (lambda now: {"aud": None}, "id_token_claims"),
    "of another tenant": (lambda now: {"iss": "https://login.example.com/other"}, "id_token_issuer"),
    "issuer with a slash": (lambda now: {"iss": "SLASH"}, "id_token_issuer"),
    "for several, issued to another": (lambda now: {"aud": [CLIENT_ID, "other"], "azp": "other"}, "id_token_azp"),
    "for several, issued to nobody": (lambda now: {"aud": [CLIENT_ID, "other"]}, "id_token_azp"),
    "issued to another": (lambda now: {"azp": "other"}, "id_token_azp"),
    "another nonce": (lambda now: {"nonce": "of another attempt"}, "id_token_nonce"),
    "no nonce": (lambda now: {"nonce": None}, "id_token_claims"),
    "nonce that is no text": (lambda now: {"nonce": 7}, "id_token_nonce"),
    "without subject": (lambda now: {"sub": None}, "id_token_claims"),
    "empty subject": (lambda now: {"sub": ""}, "id_token_subject"),
    "subject too long": (lambda now: {"sub": "x" * 256}, "id_token_subject"),
    "subject with a NUL": (lambda now: {"sub": "alice\x00"}, "id_token_subject"),
}


@pytest.mark.parametrize(("claims", "because"), FOREIGN_CLAIMS.values(), ids=FOREIGN_CLAIMS)
def test_foreign_claims_sign_nobody_in(visitor, provider, bound, claims, because):
    made = claims(int(time.time()))
    provider.claims = {name: f"{provider.issuer}/" if value == "SLASH" else value for name, value in made.items()}
    refused(sign_in(visitor, provider), 400, because)
    assert who(visitor) == ""


def test_token_for_several_issued_to_us_is_good(visitor, provider, bound):
    provider.claims = {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}
    assert sign_in(visitor, provider).status_code == 302


@pytest.mark.parametrize(
    ("header", "key", "because"),
    [
        ({"alg": "none"}, None, "id_token_algorithm"),
        ({"alg": "HS256"}, CLIENT_SECRET.encode(), "id_token_algorithm"),
        ({"alg": "RS512"}, None, "id_token_algorithm"),
        ({}, rsa_key(1), "id_token_signature"),
        ({"kid": "unknown"}, None, "id_token_key"),
        ({"kid": None}, None, "id_token_key"),
    ],
    ids=["none", "client secret", "other algorithm", "other key", "unknown key id", "no key id"],
)
def test_foreign_signature_signs_nobody_in(visitor, provider, bound, header, key, because):
    provider.header, provider.key = header, key
    refused(sign_in(visitor, provider), 400, because)
    assert who(visitor) == ""


@pytest.mark.parametrize("token", [None, 7, "", "junk", "a.b.c", "e30.e30.", "x" * 70_000])
def test_nonsense_in_place_of_the_token_signs_nobody_in(visitor, provider, bound, token):
    provider.id_token = lambda: token
    assert sign_in(visitor, provider).status_code == 400
    assert reason().startswith("id_token_")
    assert who(visitor) == ""


def test_answer_of_another_issuer_is_refused_before_its_code_is_redeemed(visitor, provider, bound):
    answer = begin(visitor, provider) | {"iss": "https://login.example.com"}
    refused(visitor.get(CALLBACK, answer), 400, "response_issuer")
    assert provider.token_request == {}


def test_code_in_the_address_of_the_form_changes_nothing(visitor, provider, bound):
    answer = begin(visitor, provider)
    visitor.post(f"/login/?code={answer['code']}&state={answer['state']}", {"username": "alice", "password": "x"})
    assert (who(visitor), provider.token_request) == ("", {})


# Who it is: issuer and subject, never an e-mail address ---------------------------------------------------------------


def test_unknown_person_is_told_what_to_give_an_administrator(visitor, provider):
    answer = sign_in(visitor, provider)
    refused(answer, 403, "person_unknown")
    assert SUBJECT in answer.content.decode()
    assert provider.issuer in answer.content.decode()


def test_verified_address_opens_an_invitation_once(visitor, provider, invited):
    assert sign_in(visitor, provider).status_code == 302
    assert Identity.objects.get().user.username == who(visitor) == "alice"
    provider.claims = {"sub": "somebody-else"}
    provider.userinfo["sub"] = "somebody-else"
    refused(sign_in(CodecClient(), provider), 403, "person_unknown")


def test_next_sign_in_needs_no_address(visitor, provider, invited):
    sign_in(visitor, provider)
    provider.userinfo = {"sub": SUBJECT}
    assert sign_in(CodecClient(), provider).status_code == 302


@pytest.mark.parametrize(
    "userinfo",
    [
        {"email": EMAIL, "email_verified": False},
        {"email": EMAIL},
        {"email": EMAIL, "email_verified": "true"},
        {"email": "", "email_verified": True},
        {"email": None, "email_verified": True},
        {"email": [EMAIL], "email_verified": True},
        {},
    ],
)
def test_address_that_is_not_verified_opens_nothing(visitor, provider, invited, userinfo):
    provider.userinfo = {"sub": SUBJECT, **userinfo}
    refused(sign_in(visitor, provider), 403, "email_unverified")
    assert not Identity.objects.exists()


def test_address_of_one_source_is_not_verified_by_the_other(visitor, provider, invited):
    provider.claims = {"email": EMAIL}
    provider.userinfo = {"sub": SUBJECT, "email": "other@example.com", "email_verified": True}
    refused(sign_in(visitor, provider), 403, "email_unverified")


def test_entra_says_in_its_own_words_that_an_address_is_verified(visitor, provider, invited):
    provider.claims = {"email": EMAIL, "xms_edov": True}
    assert sign_in(visitor, provider).status_code == 302


def test_unverified_address_of_the_superuser_signs_nobody_in(visitor, provider, bob):
    provider.userinfo = {"sub": SUBJECT, "email": bob.email, "email_verified": False}
    refused(sign_in(visitor, provider), 403, "email_unverified")


@pytest.mark.parametrize("create", [False, True])
def test_another_subject_with_the_address_of_the_superuser_is_somebody_else(visitor, provider, bob, settings, create):
    settings.CODEC_OIDC_CREATE_USERS = create
    provider.userinfo |= {"email": bob.email}
    sign_in(visitor, provider)
    assert who(visitor) != "bob"
    assert not Identity.objects.filter(user=bob).exists()


def test_userinfo_of_somebody_else_is_refused(visitor, provider, bound):
    provider.userinfo["sub"] = "mallory"
    refused(sign_in(visitor, provider), 400, "userinfo_subject")


def test_userinfo_without_subject_is_refused(visitor, provider, bound):
    del provider.userinfo["sub"]
    refused(sign_in(visitor, provider), 400, "userinfo_subject")


def test_provider_without_userinfo_will_do(visitor, provider, bound):
    del provider.document["userinfo_endpoint"]
    assert sign_in(visitor, provider).status_code == 302


def test_identity_of_another_issuer_is_somebody_else(visitor, provider, alice):
    Identity.objects.create(user=alice, issuer="https://login.example.com", subject=SUBJECT)
    refused(sign_in(visitor, provider), 403, "person_unknown")


# New people, where that is switched on --------------------------------------------------------------------------------


@pytest.fixture
def welcoming(settings):
    settings.CODEC_OIDC_CREATE_USERS = True


def test_new_person_gets_a_user_without_rights(visitor, provider, welcoming):
    sign_in(visitor, provider)
    user = User.objects.get()
    assert (user.username, user.email, user.has_usable_password()) == (EMAIL, EMAIL, False)
    assert (user.is_staff, user.is_superuser, user.groups.count(), user.grants.count()) == (False, False, 0, 0)
    assert Identity.objects.get().subject == SUBJECT


def test_new_person_is_recorded(visitor, provider, welcoming):
    sign_in(visitor, provider)
    assert AuditRecord.objects.get(action="identity:bound").details["subject"] == SUBJECT
    assert AuditRecord.objects.filter(action="user:created").exists()


def test_new_person_decodes_nothing(visitor, provider, welcoming, canary_key):
    sign_in(visitor, provider)
    assert visitor.call("/decode").status_code == 403


def test_new_person_returns_as_the_same_user(visitor, provider, welcoming):
    sign_in(visitor, provider)
    sign_in(CodecClient(), provider)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "userinfo",
    [
        {"email": "ALICE@example.com", "email_verified": True},
        {"email": "carol@example.com", "email_verified": False, "preferred_username": "alice"},
        {"email": "a lice@example.com", "email_verified": True},
    ],
)
def test_new_person_never_looks_like_somebody_else(visitor, provider, welcoming, alice, userinfo):
    provider.userinfo = {"sub": SUBJECT, **userinfo}
    sign_in(visitor, provider)
    assert who(visitor).startswith("sso-")


def test_twin_that_was_faster_is_found(visitor, provider, welcoming, monkeypatch, alice):
    """Two tabs at once: when this request looks, there is nobody yet; when it writes, there is."""
    answers = [None, alice]
    monkeypatch.setattr(newcomers, "find_user", lambda *key: answers.pop(0))
    monkeypatch.setattr(newcomers, "bind_invitation", lambda *key: None)
    Identity.objects.create(user=alice, issuer=provider.issuer, subject=SUBJECT)
    sign_in(visitor, provider)
    assert (who(visitor), User.objects.count()) == ("alice", 1)


# Who is disabled is out at once ---------------------------------------------------------------------------------------


def test_disabled_person_with_a_session_is_out_at_once(visitor, provider, bound, granted, canary_key):
    sign_in(visitor, provider)
    assert visitor.call("/decode").status_code == 200
    bound.is_active = False
    bound.save()
    assert visitor.call("/decode").status_code == 401
    assert counted() == ["session_ended"]
    assert visitor.get("/")["Location"].startswith("/login/")


def test_disabled_person_does_not_get_in(visitor, provider, bound):
    bound.is_active = False
    bound.save()
    refused(sign_in(visitor, provider), 403, "person_disabled")
    assert who(visitor) == ""


def test_session_ends_when_the_provider_is_no_longer_configured(visitor, provider, bound, settings):
    sign_in(visitor, provider)
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    assert visitor.call("/decode").status_code == 401


def test_session_has_an_end_however_much_it_is_used(visitor, provider, bound, granted, canary_key):
    sign_in(visitor, provider)
    UserSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert visitor.call("/decode").status_code == 401
    assert counted() == ["session_ended"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_codec_path_never_redirects_to_the_provider(visitor, provider, method):
    answer = getattr(visitor, method)("/decode", headers={"Origin": UI_ORIGIN, "Accept": "*/*"})
    assert answer.status_code in {405, 415}
    assert "Location" not in answer


# When the provider errs -----------------------------------------------------------------------------------------------


def test_pressing_cancel_is_answered_with_a_page(visitor, provider, bound):
    answer = visitor.get(CALLBACK, {"state": begin(visitor, provider)["state"], "error": "access_denied"})
    refused(answer, 403, "provider_refused")
    assert "You cancelled" in answer.content.decode()


def test_error_from_the_provider_uses_up_the_state(visitor, provider, bound):
    answer = begin(visitor, provider)
    visitor.get(CALLBACK, {"state": answer["state"], "error": "server_error"})
    assert visitor.get(CALLBACK, answer).status_code == 400


def test_text_from_the_address_is_not_shown(visitor, provider):
    error = "<b>Call 0800 1234</b>"
    answer = visitor.get(CALLBACK, {"state": begin(visitor, provider)["state"], "error": error})
    assert "0800" not in answer.content.decode()
    assert AuditRecord.objects.latest("id").details["error"] == ""


@pytest.mark.parametrize(
    ("path", "because"),
    [("/token", "token_endpoint"), ("/userinfo", "userinfo_endpoint"), ("/jwks", "provider_away")],
)
@pytest.mark.parametrize("status", [302, 400, 503])
def test_part_that_fails_is_named_on_a_page(visitor, provider, bound, path, because, status):
    provider.fail[path] = status
    refused(sign_in(visitor, provider), 503, because)
    assert who(visitor) == ""


def test_key_set_without_key_ids_is_a_page(visitor, provider, bound):
    provider.keys = [jwk(rsa_key(), None)]
    refused(sign_in(visitor, provider), 503, "provider_away")


def test_provider_that_is_gone_in_between_is_a_page(visitor, provider, bound):
    answer = begin(visitor, provider)
    provider.stop()
    provider.stop = lambda: None
    refused(visitor.get(CALLBACK, answer), 503, "token_endpoint")


@pytest.mark.parametrize("answer", [[], "text", {}])
def test_token_answer_that_makes_no_sense_is_a_page(visitor, provider, bound, monkeypatch, answer):
    monkeypatch.setattr(
        provider, "_answer", lambda path, honest=provider._answer: answer if path == "/token" else honest(path)
    )
    assert sign_in(visitor, provider).status_code in {400, 503}


# Discovery ------------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_somebody_signs_in(visitor, provider):
    visitor.get("/login/")
    visitor.call("/decode", namespace="payments")
    assert provider.requests == []


def test_provider_that_is_away_is_a_page(visitor, settings):
    configure(settings, "http://127.0.0.1:9")
    answer = visitor.get("/login/sso/")
    assert (answer.status_code, "discovery document" in answer.content.decode()) == (503, True)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://login.example.com"},
        {"issuer": "SLASH"},
        {"issuer": None},
        {"token_endpoint": None},
        {"authorization_endpoint": "http://login.example.com/auth"},
        {"jwks_uri": ["https://login.example.com/jwks"]},
        {"jwks_uri": "https://login.example.com/\r\nX: y"},
    ],
)
def test_document_that_does_not_hold_is_refused(visitor, provider, change):
    provider.document |= {name: f"{provider.issuer}/" if value == "SLASH" else value for name, value in change.items()}
    assert visitor.get("/login/sso/").status_code == 503


def test_issuer_with_a_slash_at_its_end_is_another_issuer(visitor, provider, settings):
    settings.CODEC_OIDC_ISSUER = provider.document["issuer"] = f"{provider.issuer}/"
    assert visitor.get("/login/sso/").status_code == 302
    assert provider.requests == ["/.well-known/openid-configuration"]


def test_document_and_keys_are_fetched_once_for_many(provider, bound):
    for _ in range(3):
        sign_in(CodecClient(), provider)
    assert provider.requests.count("/.well-known/openid-configuration") == 1
    assert provider.requests.count("/jwks") == 1


def test_provider_that_failed_is_left_alone_for_a_while(visitor, provider):
    provider.fail["/.well-known/openid-configuration"] = 503
    for _ in range(3):
        visitor.get("/login/sso/")
    assert len(provider.requests) == 1


def test_old_document_serves_while_there_is_no_newer(visitor, provider, bound, monkeypatch):
    sign_in(visitor, provider)
    provider.fail["/.well-known/openid-configuration"] = 503
    monkeypatch.setattr(discovery, "_clock", lambda: time.monotonic() + 2 * HOUR)
    assert sign_in(CodecClient(), provider).status_code == 302


def test_document_of_yesterday_serves_no_more(visitor, provider, bound, monkeypatch):
    sign_in(visitor, provider)
    provider.fail["/.well-known/openid-configuration"] = 503
    monkeypatch.setattr(discovery, "_clock", lambda: time.monotonic() + 25 * HOUR)
    assert visitor.get("/login/sso/").status_code == 503


# Groups ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def readers(provider, db) -> Group:
    group = Group.objects.create(name="readers")
    GroupMapping.objects.create(issuer=provider.issuer, provider_group="payments-readers", group=group)
    return group


def groups_said() -> str:
    return AuditRecord.objects.filter(action="session:started").latest("id").details["groups"]


def test_group_of_the_provider_gives_a_membership(visitor, provider, bound, readers):
    provider.claims = {"groups": ["payments-readers", "everybody"]}
    sign_in(visitor, provider)
    assert list(bound.groups.all()) == [readers]
    assert ProvidedMembership.objects.get().issuer == provider.issuer


def test_membership_is_taken_back_at_the_next_sign_in(visitor, provider, bound, readers):
    provider.claims = {"groups": ["payments-readers"]}
    sign_in(visitor, provider)
    provider.claims = {"groups": ["everybody"]}
    sign_in(CodecClient(), provider)
    assert (bound.groups.count(), ProvidedMembership.objects.count()) == (0, 0)


def test_membership_given_by_hand_is_left_alone(visitor, provider, bound, readers):
    bound.groups.add(readers)
    for groups in (["payments-readers"], []):
        provider.claims = {"groups": groups}
        sign_in(CodecClient(), provider)
    assert list(bound.groups.all()) == [readers]
    assert not ProvidedMembership.objects.exists()


def test_membership_without_its_mapping_is_taken_back(visitor, provider, bound, readers):
    provider.claims = {"groups": ["payments-readers"]}
    sign_in(visitor, provider)
    GroupMapping.objects.all().delete()
    sign_in(CodecClient(), provider)
    assert bound.groups.count() == 0


def test_membership_of_a_former_provider_is_taken_back(visitor, provider, bound, readers):
    bound.groups.add(readers)
    ProvidedMembership.objects.create(user=bound, group=readers, issuer="https://former.example.com")
    provider.claims = {"groups": []}
    sign_in(visitor, provider)
    assert bound.groups.count() == 0


def test_mapping_of_another_issuer_gives_nothing(visitor, provider, bound, readers):
    GroupMapping.objects.update(issuer="https://login.example.com")
    provider.claims = {"groups": ["payments-readers"]}
    sign_in(visitor, provider)
    assert bound.groups.count() == 0


def test_changes_are_recorded(visitor, provider, bound, readers):
    provider.claims = {"groups": ["payments-readers"]}
    sign_in(visitor, provider)
    record = AuditRecord.objects.get(action="user:groups-changed")
    assert record.details == {"of": "alice", "change": "add", "items": ["readers"]}
    assert record.actor_name == "alice"
    assert groups_said() == "sent"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({}, "not sent: left as they were"),
        ({"_claim_names": {"groups": "src1"}}, "only a link sent: left as they were"),
        ({"groups": 7}, "not understood: left as they were"),
        ({"groups": ["a", {}]}, "not understood: left as they were"),
    ],
)
def test_without_groups_memberships_are_left_as_they_were(visitor, provider, bound, readers, claims, said):
    provider.claims = {"groups": ["payments-readers"]}
    sign_in(visitor, provider)
    provider.claims = claims
    sign_in(CodecClient(), provider)
    assert list(bound.groups.all()) == [readers]
    assert groups_said() == said


def test_groups_of_userinfo_do_not_count(visitor, provider, bound, readers):
    provider.userinfo["groups"] = ["payments-readers"]
    sign_in(visitor, provider)
    assert bound.groups.count() == 0


def test_claim_may_have_another_name_and_hold_one_group(visitor, provider, bound, readers, settings):
    settings.CODEC_OIDC_GROUPS_CLAIM = "https://example.com/groups"
    provider.claims = {"https://example.com/groups": "payments-readers"}
    sign_in(visitor, provider)
    assert list(bound.groups.all()) == [readers]


def test_groups_never_make_a_superuser_or_staff(visitor, provider, bound, readers):
    provider.claims = {"groups": ["payments-readers"], "is_superuser": True, "is_staff": True, "admin": True}
    sign_in(visitor, provider)
    bound.refresh_from_db()
    assert (bound.is_superuser, bound.is_staff) == (False, False)


# Signing out ----------------------------------------------------------------------------------------------------------


def test_signing_out_ends_both_sessions(visitor, provider, bound):
    sign_in(visitor, provider)
    answer = visitor.post("/logout/")
    url = urlsplit(answer["Refresh"].removeprefix("0; url="))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert who(visitor) == ""
    assert f"{url.scheme}://{url.netloc}{url.path}" == provider.document["end_session_endpoint"]
    assert (query["client_id"], query["post_logout_redirect_uri"]) == (CLIENT_ID, "http://localhost:8888/login/")
    assert query["id_token_hint"].count(".") == 2


def test_signing_out_is_recorded(visitor, provider, bound):
    sign_in(visitor, provider)
    visitor.post("/logout/")
    assert AuditRecord.objects.get(action="session:ended").actor_name == "alice"


def test_hint_is_left_out_when_it_is_too_long_for_an_address(visitor, provider, bound):
    provider.claims = {"groups": [f"group-{number:04}" for number in range(1000)]}
    sign_in(visitor, provider)
    assert "id_token_hint" not in visitor.post("/logout/")["Refresh"]


def test_provider_without_such_an_endpoint_ends_ours(visitor, provider, bound):
    del provider.document["end_session_endpoint"]
    sign_in(visitor, provider)
    assert visitor.post("/logout/")["Location"] == "/login/"
    assert who(visitor) == ""


def test_provider_that_is_away_does_not_keep_anybody_signed_in(visitor, provider, bound, monkeypatch):
    sign_in(visitor, provider)
    provider.fail["/.well-known/openid-configuration"] = 503
    monkeypatch.setattr(discovery, "_clock", lambda: time.monotonic() + 25 * HOUR)
    assert visitor.post("/logout/")["Location"] == "/login/"
    assert who(visitor) == ""


def test_password_session_ends_here_alone(visitor, provider, alice):
    visitor.post("/login/", {"username": "alice", "password": canary.PASSWORD})
    assert visitor.post("/logout/")["Location"] == "/login/"


def test_signing_out_works_without_a_page_to_go_to(visitor, provider, alice, settings):
    settings.LOGOUT_REDIRECT_URL = None
    visitor.post("/login/", {"username": "alice", "password": canary.PASSWORD})
    assert (visitor.post("/logout/").status_code, who(visitor)) == (302, "")
