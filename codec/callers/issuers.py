"""Whose access tokens count: the issuers of CODEC_TOKEN_ISSUERS, completed from presets (docs/access-tokens.md)."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

AUTHORIZATION = "Authorization"
EXTRAS = "Authorization-Extras"

DEFAULT_MAX_LIFETIME = 24 * 3600
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    # JWKS, audience and e-mail claim: Temporal's documentation, production-deployment/data-encryption.
    # The issuer is the convention of the provider behind it (Auth0), and not documented by Temporal.
    "temporal-cloud": {
        "url": "https://login.tmprl.cloud/",
        "jwks_url": "https://login.tmprl.cloud/.well-known/jwks.json",
        "audiences": ["https://saas-api.tmprl.cloud"],
        "email_claim": "https://saas-api.tmprl.cloud/user/email",
    },
    # A Web UI of one's own passes the provider's access token in Authorization, which may be opaque or meant for
    # somebody else, and the ID token, meant for the UI, in Authorization-Extras: temporalio/ui server/auth/auth.go
    "self-hosted": {"header": EXTRAS, "email_claim": "email"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One issuer of tokens. Its tokens are looked for in `header`, and nowhere else.

    What comes in Authorization-Extras is an ID token, meant for the Web UI; what comes in Authorization is an access
    token. `email_trusted` lets `email_claim` open an invitation. `permissions_claim`, unless empty, gives rights.
    """

    name: str
    url: str = ""
    jwks_url: str = ""
    audiences: frozenset[str] = frozenset()
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    untyped: bool = False
    email_claim: str = ""
    email_trusted: bool = False
    header: str = AUTHORIZATION
    max_lifetime_seconds: int = DEFAULT_MAX_LIFETIME
    permissions_claim: str = ""


def configured() -> list[Issuer]:
    """Return the issuers in the order of CODEC_TOKEN_ISSUERS."""
    return [_issuer(given) for given in settings.CODEC_TOKEN_ISSUERS]


def find(url: object, header: str) -> Issuer | None:
    """Return the issuer whose URL is exactly `url` and whose tokens come in `header`."""
    return next((issuer for issuer in configured() if issuer.url == url and issuer.header == header), None)


def _issuer(given: dict[str, Any]) -> Issuer:
    """Complete what the operator said: what is blank comes from the preset, and then from the defaults above."""
    said = {option: value for option, value in given.items() if value and option != "preset"}
    options = PRESETS[given.get("preset", "none")] | said
    options["audiences"] = frozenset(options.get("audiences", ()))
    if "algorithms" in options:
        options["algorithms"] = tuple(options["algorithms"])
    return Issuer(**options)
