"""Whose access tokens count: variables, presets, and what the system checks refuse."""

from typing import Any

import pytest

from codec import checks
from codec.callers import issuers
from codec.callers.issuers import Issuer
from tests.codecsite.test_settings import read, refusal, start  # noqa: F401  fixtures

CLOUD = {"CODEC_TOKEN_ISSUERS": "cloud", "CODEC_ISSUER_CLOUD_PRESET": "temporal-cloud"}
GOOD = {
    "name": "one",
    "url": "https://issuer.example.com/",
    "jwks_url": "https://issuer.example.com/keys",
    "audiences": ["codec"],
}


@pytest.fixture
def configured(settings):
    """Return a function that completes one issuer's settings."""

    def complete(**given: Any) -> Issuer:
        settings.CODEC_TOKEN_ISSUERS = [given]
        return issuers.configured()[0]

    return complete


@pytest.fixture
def errors(settings):
    """Return a function that gives the ids of what the system checks find."""

    def find(*given: dict[str, Any]) -> list[str | None]:
        settings.CODEC_TOKEN_ISSUERS = list(given)
        return [message.id for message in [*checks.token_issuers(None), *checks.token_lifetimes(None)]]

    return find


class TestDefaults:
    def test_no_issuer_is_configured(self, read):
        assert read()["CODEC_TOKEN_ISSUERS"] == []

    def test_trust_nothing_beyond_the_signature(self, configured):
        issuer = configured(**GOOD)
        assert issuer.algorithms == ("RS256", "ES256")
        assert (issuer.email_claim, issuer.email_trusted, issuer.permissions_claim, issuer.untyped) == (
            "",
            False,
            "",
            False,
        )
        assert (issuer.header, issuer.max_lifetime_seconds) == ("Authorization", 86400)


class TestPresets:
    def test_temporal_cloud(self, configured):
        issuer = configured(name="cloud", preset="temporal-cloud")
        assert issuer.jwks_url == "https://login.tmprl.cloud/.well-known/jwks.json"
        assert issuer.url == "https://login.tmprl.cloud/"
        assert issuer.audiences == {"https://saas-api.tmprl.cloud"}
        assert issuer.email_claim == "https://saas-api.tmprl.cloud/user/email"
        assert not issuer.email_trusted
        assert issuer.header == "Authorization"

    def test_self_hosted(self, configured):
        issuer = configured(**GOOD, preset="self-hosted")
        assert (issuer.header, issuer.email_claim, issuer.email_trusted) == ("Authorization-Extras", "email", False)

    def test_what_is_said_comes_before_the_preset(self, configured):
        issuer = configured(
            name="cloud", preset="temporal-cloud", url="https://other.example.com/", audiences=["a", "b"]
        )
        assert issuer.url == "https://other.example.com/"
        assert issuer.audiences == {"a", "b"}
        assert issuer.jwks_url == "https://login.tmprl.cloud/.well-known/jwks.json"

    def test_presets_stay_as_they_are(self, configured):
        configured(name="cloud", preset="temporal-cloud", url="https://other.example.com/")
        assert configured(name="cloud", preset="temporal-cloud").url == "https://login.tmprl.cloud/"

    def test_temporal_cloud_alone_passes_the_checks(self, errors):
        assert errors({"name": "cloud", "preset": "temporal-cloud"}) == []


class TestFind:
    @pytest.mark.parametrize(
        ("url", "header"),
        [
            ("https://issuer.example.com", "Authorization"),
            ("https://issuer.example.com//", "Authorization"),
            ("HTTPS://issuer.example.com/", "Authorization"),
            ("https://issuer.example.com/", "Authorization-Extras"),
            (None, "Authorization"),
            (["https://issuer.example.com/"], "Authorization"),
        ],
    )
    def test_only_the_exact_url_in_the_right_header(self, configured, url, header):
        configured(**GOOD)
        assert issuers.find(url, header) is None

    def test_one_url_for_both_headers(self, settings):
        settings.CODEC_TOKEN_ISSUERS = [GOOD, GOOD | {"name": "two", "header": "Authorization-Extras"}]
        assert issuers.find(GOOD["url"], "Authorization").name == "one"
        assert issuers.find(GOOD["url"], "Authorization-Extras").name == "two"


class TestEnvironment:
    def test_every_variable_is_read(self, read):
        environment = {
            "PRESET": "self-hosted",
            "URL": "https://issuer.example.com/",
            "JWKS_URL": "https://issuer.example.com/keys",
            "AUDIENCES": "a, b",
            "ALGORITHMS": "PS256",
            "UNTYPED": "1",
            "HEADER": "Authorization",
            "MAX_LIFETIME_SECONDS": "3600",
            "EMAIL_CLAIM": "mail",
            "EMAIL_TRUSTED": "1",
            "PERMISSIONS_CLAIM": "permissions",
        }
        given = {f"CODEC_ISSUER_ONE_{name}": value for name, value in environment.items()}
        assert read(CODEC_TOKEN_ISSUERS="one", **given)["CODEC_TOKEN_ISSUERS"] == [
            {
                "name": "one",
                "preset": "self-hosted",
                "url": "https://issuer.example.com/",
                "jwks_url": "https://issuer.example.com/keys",
                "audiences": ["a", "b"],
                "algorithms": ["PS256"],
                "untyped": True,
                "header": "Authorization",
                "max_lifetime_seconds": 3600,
                "email_claim": "mail",
                "email_trusted": True,
                "permissions_claim": "permissions",
            }
        ]

    def test_several_issuers_keep_their_order(self, read):
        given = read(CODEC_TOKEN_ISSUERS="okta,Cloud", CODEC_ISSUER_CLOUD_PRESET="temporal-cloud")[
            "CODEC_TOKEN_ISSUERS"
        ]
        assert [(issuer["name"], issuer["preset"]) for issuer in given] == [
            ("okta", "none"),
            ("cloud", "temporal-cloud"),
        ]

    @pytest.mark.parametrize("names", ["hidden-name", "hidden name", "1hidden", "hidden,HIDDEN", "hid_den"])
    def test_bad_names_are_refused(self, refusal, names):
        assert "CODEC_TOKEN_ISSUERS must hold different names" in refusal(CODEC_TOKEN_ISSUERS=names)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PRESET", "hidden"),
            ("HEADER", "X-Hidden"),
            ("HEADER", "authorization-hidden"),
            ("UNTYPED", "hidden"),
            ("EMAIL_TRUSTED", "hidden"),
            ("MAX_LIFETIME_SECONDS", "59"),
            ("MAX_LIFETIME_SECONDS", "hidden"),
            ("MAX_LIFETIME_SECONDS", "-1"),
        ],
    )
    def test_bad_values_are_refused(self, refusal, name, value):
        assert f"CODEC_ISSUER_CLOUD_{name} must be" in refusal(**CLOUD | {f"CODEC_ISSUER_CLOUD_{name}": value})

    @pytest.mark.parametrize(
        "name", ["CODEC_ISSUER_CLOUD_AUDIENCE", "CODEC_ISSUER_OTHER_URL", "CODEC_ISSUER_cloud_URL"]
    )
    def test_slip_in_a_name_is_refused(self, refusal, name):
        assert f"{name} is not a setting" in refusal(**CLOUD | {name: "hidden"})


class TestChecks:
    def test_good_issuer_passes(self, errors):
        assert errors(GOOD) == []

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"url": ""}, ["codec.E020"]),
            ({"jwks_url": ""}, ["codec.E020"]),
            ({"audiences": []}, ["codec.E020"]),
            ({"url": "u" * 256}, ["codec.E020"]),
            ({"url": "https://\u0456ssuer.example.com/"}, ["codec.E020"]),
            ({"jwks_url": "http://issuer.example.com/keys"}, ["codec.E021"]),
            ({"jwks_url": "file:///keys.json"}, ["codec.E021"]),
            ({"jwks_url": "issuer.example.com/keys"}, ["codec.E021"]),
            ({"jwks_url": "http://localhost:8080/keys"}, []),
            ({"algorithms": ["HS256"]}, ["codec.E022"]),
            ({"algorithms": ["RS256", "none"]}, ["codec.E022"]),
            ({"algorithms": ["rs256"]}, ["codec.E022"]),
            ({"algorithms": ["ES512", "PS384", "EdDSA"]}, []),
            ({"email_trusted": True}, ["codec.E023"]),
            ({"email_trusted": True, "email_claim": "email"}, []),
            ({"max_lifetime_seconds": 86401}, ["codec.W020"]),
        ],
    )
    def test_dangerous_settings_are_found(self, errors, changes, expected):
        assert errors(GOOD | changes) == expected

    def test_one_url_twice_in_one_header(self, errors):
        assert errors(GOOD, GOOD | {"name": "two"}) == ["codec.E024"]

    def test_one_url_in_two_headers(self, errors):
        assert errors(GOOD, GOOD | {"name": "two", "header": "Authorization-Extras"}) == []

    def test_message_names_the_variable(self, settings):
        settings.CODEC_TOKEN_ISSUERS = [GOOD | {"audiences": []}]
        assert checks.token_issuers(None)[0].msg == "CODEC_ISSUER_ONE_AUDIENCES is not set."
