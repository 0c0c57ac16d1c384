"""Local passwords: guessing them ends after five, for that name from that address; and they can be switched off."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.utils import timezone

from codec.local_passwords import LOCKED
from codec.models import User, UserSession
from keys.models import AuditRecord
from tests import canary
from tests.commands import failed_checks, manage
from tests.conftest import CodecClient

WRONG = "not-the-password"
UI_PAGE = "http://localhost:8080/namespaces/payments/workflows"


@pytest.fixture
def visitor(db) -> CodecClient:
    return CodecClient()


def post(client: CodecClient, password: str = canary.PASSWORD, username: str = "alice", **more: str):
    headers = {name.replace("_", "-"): value for name, value in more.items() if name != "address"}
    form = {"username": username, "password": password}
    return client.post("/login/", form, headers=headers, REMOTE_ADDR=more.get("address", "192.0.2.1"))


def guess(client: CodecClient, times: int, **more: str) -> list[int]:
    return [post(client, WRONG, **more).status_code for _ in range(times)]


def reasons() -> list[str]:
    records = AuditRecord.objects.filter(action="session:sign-in-failed").order_by("id")
    return list(records.values_list("reason", flat=True))


# Guessing -------------------------------------------------------------------------------------------------------------


def test_fifth_wrong_password_locks(visitor, alice):
    assert guess(visitor, 6) == [200, 200, 200, 200, 429, 429]


def test_locked_answer_is_the_sign_in_page_with_a_sentence(visitor, alice):
    guess(visitor, 4)
    answer = post(visitor, WRONG)
    assert LOCKED in answer.content.decode()
    assert b'name="username"' in answer.content


def test_locked_name_takes_not_even_the_right_password(visitor, alice):
    guess(visitor, 5)
    answer = post(visitor)
    assert (answer.status_code, LOCKED in answer.content.decode()) == (429, True)


def test_lock_ends_after_a_quarter_of_an_hour(visitor, alice):
    guess(visitor, 5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))
    assert post(visitor).status_code == 302


def test_trying_on_does_not_prolong_the_lock(visitor, alice):
    guess(visitor, 5)
    began = AccessAttempt.objects.get().attempt_time
    guess(visitor, 3)
    assert AccessAttempt.objects.get().attempt_time == began


def test_right_password_forgets_the_wrong_ones(visitor, alice):
    guess(visitor, 4)
    assert post(visitor).status_code == 302
    assert guess(CodecClient(), 4) == [200] * 4


def test_unknown_name_is_locked_like_a_known_one(visitor):
    assert guess(visitor, 5, username="nobody") == [200, 200, 200, 200, 429]


def test_other_names_are_not_locked(visitor, alice, mallory):
    guess(visitor, 5)
    assert post(visitor, username="mallory").status_code == 302


def test_other_addresses_are_not_locked(visitor, alice):
    guess(visitor, 5)
    assert post(visitor, address="192.0.2.2").status_code == 302


def test_other_browser_at_the_address_is_locked(visitor, alice):
    guess(visitor, 5)
    assert post(CodecClient(), User_Agent="another", Accept="*/*").status_code == 429


def test_neighbour_of_the_same_ipv6_network_is_locked(visitor, alice):
    guess(visitor, 5, address="2001:db8::1")
    assert post(visitor, address="2001:db8::ffff:2").status_code == 429
    assert post(visitor, address="2001:db8:0:1::1").status_code == 302


def test_ipv4_address_in_ipv6_form_is_the_same_one(visitor, alice):
    guess(visitor, 5, address="192.0.2.1")
    assert post(visitor, address="::ffff:192.0.2.1").status_code == 429


@pytest.mark.parametrize("address", ["", "unknown", "192.0.2.1:4711", "/run/codec.sock"])
def test_address_that_is_none_is_counted_too(visitor, alice, address):
    assert guess(visitor, 5, address=address)[-1] == 429


def test_forwarded_address_counts_behind_a_trusted_proxy_alone(visitor, alice, settings):
    guess(visitor, 5, X_Forwarded_For="203.0.113.7")
    assert post(visitor, X_Forwarded_For="203.0.113.8").status_code == 429
    settings.CODEC_TRUSTED_PROXIES = 1
    assert post(visitor, X_Forwarded_For="203.0.113.8").status_code == 302


def test_forged_part_of_the_forwarded_addresses_does_not_evade_the_lock(visitor, alice, settings):
    settings.CODEC_TRUSTED_PROXIES = 1
    for number in range(5):
        post(visitor, WRONG, X_Forwarded_For=f"198.51.100.{number}, 203.0.113.7")
    assert post(visitor, X_Forwarded_For="198.51.100.9, 203.0.113.7").status_code == 429


@pytest.mark.parametrize("name", ["x" * 5000, "ällice", "a\ud800"[:1], "' OR 1=1 --"])
def test_any_name_can_be_counted(visitor, name):
    assert guess(visitor, 5, username=name)[-1] == 429


# What is recorded and kept --------------------------------------------------------------------------------------------


def test_locked_attempts_are_recorded_as_such(visitor, alice):
    guess(visitor, 6)
    assert reasons() == ["wrong_credentials"] * 4 + ["locked_out"] * 2


def test_password_typed_into_the_name_field_is_kept_nowhere(visitor, alice):
    guess(visitor, 5, username="typed-in-a-hurry")
    kept = repr(list(AccessAttempt.objects.values())) + repr(list(AuditRecord.objects.values()))
    assert "typed-in-a-hurry" not in kept


def test_table_of_attempts_shows_no_names(visitor, alice):
    guess(visitor, 5)
    assert "alice" not in repr(list(AccessAttempt.objects.values()))


def test_attempts_are_not_in_the_admin(bobs_browser):
    assert bobs_browser.get("/admin/axes/accessattempt/").status_code == 404


# The password that a dangerous act asks for ---------------------------------------------------------------------------


def disable_page(browser: CodecClient, key) -> str:
    return f"/admin/keys/keyversion/{key.pk}/disable/"


@pytest.fixture
def spare_key(canary_key, payments):
    from keys.rotation import publish_key
    from tests.conftest import OPERATOR

    return publish_key(payments, actor=OPERATOR, reason="a spare")


def test_dangerous_act_takes_the_password(bobs_browser, spare_key):
    bobs_browser.post(disable_page(bobs_browser, spare_key), {"reason": "test", "password": canary.PASSWORD})
    spare_key.refresh_from_db()
    assert spare_key.state == "DISABLED"


def test_guessing_at_a_dangerous_act_ends_like_guessing_at_the_sign_in(bobs_browser, spare_key):
    page = disable_page(bobs_browser, spare_key)
    statuses = [bobs_browser.post(page, {"reason": "test", "password": WRONG}).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    bobs_browser.post(page, {"reason": "test", "password": canary.PASSWORD})
    spare_key.refresh_from_db()
    assert spare_key.state == "ENABLED"


# Switched off ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sso_only(settings):
    settings.CODEC_LOCAL_PASSWORDS = False
    settings.CODEC_OIDC_ISSUER = "https://login.example.com"
    settings.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_SECRET = "codec-server"
    settings.AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "codec.oidc.backend.OidcBackend"]


def test_switched_off_there_is_no_form(visitor, sso_only):
    page = visitor.get("/login/", {"next": UI_PAGE}).content.decode()
    assert 'name="password"' not in page
    assert "/login/sso/?next=" in page


def test_switched_off_nobody_signs_in_by_password(visitor, alice, sso_only):
    assert post(visitor).status_code == 405
    assert not UserSession.objects.filter(user_id=alice.pk).exists()


def test_switched_off_sessions_of_passwords_end(visitor, alice, granted, canary_key, sso_only, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    settings.CODEC_LOCAL_PASSWORDS = True
    post(visitor)
    assert visitor.call("/decode").status_code == 200
    settings.AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "codec.oidc.backend.OidcBackend"]
    assert visitor.call("/decode").status_code == 401


def test_switched_off_bootstrap_says_how_to_get_in(db, sso_only):
    printed = manage("bootstrap")
    assert "admin password" not in printed
    assert "manage.py invite admin" in printed
    assert not User.objects.get(username="admin").has_usable_password()


# System checks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"CODEC_OIDC_ISSUER": ""}, "codec.E010"),
        ({"OIDC_RP_CLIENT_ID": ""}, "codec.E010"),
        ({"OIDC_RP_CLIENT_SECRET": ""}, "codec.E010"),
        ({"CODEC_OIDC_ISSUER": "", "OIDC_RP_CLIENT_ID": "", "OIDC_RP_CLIENT_SECRET": ""}, "codec.E011"),
        ({"CODEC_OIDC_ISSUER": "http://login.example.com"}, "codec.E012"),
        ({"CODEC_OIDC_ISSUER": "https://login.example.com?tenant=1"}, "codec.E012"),
        ({"OIDC_RP_SIGN_ALGO": "HS256"}, "codec.E013"),
        ({"OIDC_RP_SCOPES": "email profile"}, "codec.E014"),
        ({"OIDC_VERIFY_SSL": False}, "codec.E015"),
        ({"OIDC_ALLOW_UNSECURED_JWT": True}, "codec.E016"),
        ({"OIDC_USE_PKCE": False}, "codec.E017"),
        ({"OIDC_USE_NONCE": False}, "codec.E017"),
        ({"OIDC_TIMEOUT": None}, "codec.E018"),
    ],
)
def test_dangerous_single_sign_on_is_found(sso_only, db, settings, changed, check):
    for name, value in changed.items():
        setattr(settings, name, value)
    assert {found for found in failed_checks() if found.startswith("codec.")} == {check}


def test_sound_single_sign_on_has_no_finding(sso_only, db):
    assert not {found for found in failed_checks() if found.startswith(("codec.", "axes."))}


@pytest.mark.parametrize(
    ("name", "value"),
    [("AXES_ENABLED", False), ("AXES_FAILURE_LIMIT", 1000), ("AXES_LOCKOUT_PARAMETERS", ["username"])],
)
def test_passwords_without_a_throttle_are_found(db, settings, name, value):
    setattr(settings, name, value)
    assert "codec.E019" in failed_checks()
