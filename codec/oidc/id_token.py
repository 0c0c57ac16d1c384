"""The ID token: what must hold before anything in it is believed (OpenID Connect Core 1.0, section 3.1.3.7)."""

import secrets
from typing import Any

import jwt
from django.conf import settings

from codec.callers import jwks
from codec.errors import KeysUnavailable
from codec.identities import is_usable
from codec.oidc.errors import AnswerRefused, ProviderAway

LEEWAY_SECONDS = 60
MAX_LIFETIME_SECONDS = 24 * 3600
MAX_BYTES = 64 * 1024  # hundreds of groups fit
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "id_token_expired",
    jwt.ImmatureSignatureError: "id_token_not_yet_valid",
    jwt.InvalidAudienceError: "id_token_audience",
    jwt.InvalidIssuerError: "id_token_issuer",
    jwt.InvalidSignatureError: "id_token_signature",
    jwt.MissingRequiredClaimError: "id_token_claims",
}


def verify(token: object, *, issuer: str, jwks_uri: str, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token of `issuer` for this client and this attempt.

    Signed with the one algorithm that is configured and a key that the provider publishes now; for us alone or
    handed to us (`azp`); not expired, not from the future, not valid for longer than a day; with the nonce of the
    attempt. Raises AnswerRefused, ProviderAway.
    """
    if not isinstance(token, str) or len(token) > MAX_BYTES:
        raise AnswerRefused("id_token_missing")
    try:
        claims = _decode(token, _key(token, jwks_uri), issuer)
    except jwt.PyJWTError as error:
        raise AnswerRefused(_REASONS.get(type(error), "id_token_malformed")) from error
    except (TypeError, OverflowError, RecursionError) as error:  # PyJWT on claims that only a broken provider signs
        raise AnswerRefused("id_token_malformed") from error
    _check_claims(claims, nonce)
    return claims


def _key(token: str, jwks_uri: str) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    key_id = header.get("kid")
    if header.get("alg") != settings.OIDC_RP_SIGN_ALGO:
        raise AnswerRefused("id_token_algorithm")
    if not isinstance(key_id, str):
        raise AnswerRefused("id_token_key")
    try:
        return jwks.cache_of(jwks_uri).key(key_id)[settings.OIDC_RP_SIGN_ALGO]
    except KeysUnavailable as error:
        raise ProviderAway(part="key set") from error
    except (jwks.KeyUnknown, KeyError) as error:
        raise AnswerRefused("id_token_key") from error


def _decode(token: str, key: jwt.PyJWK, issuer: str) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=[settings.OIDC_RP_SIGN_ALGO],
        audience=settings.OIDC_RP_CLIENT_ID,
        issuer=issuer,
        leeway=LEEWAY_SECONDS,
        options={"require": _REQUIRED},
    )


def _check_claims(claims: dict[str, Any], nonce: str) -> None:
    """Check what PyJWT leaves to its caller."""
    if not isinstance(claims["nonce"], str) or not secrets.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise AnswerRefused("id_token_nonce")
    client = settings.OIDC_RP_CLIENT_ID
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client) != client:
        raise AnswerRefused("id_token_azp")
    if not _is_number(claims["exp"]) or not _is_number(claims["iat"]):
        raise AnswerRefused("id_token_claims")
    if claims["exp"] - claims["iat"] > MAX_LIFETIME_SECONDS:
        raise AnswerRefused("id_token_lifetime")
    if not is_usable(claims["sub"]):
        raise AnswerRefused("id_token_subject")


def _is_number(value: object) -> bool:
    """PyJWT would take a string of digits, and true."""
    return type(value) in {int, float}
