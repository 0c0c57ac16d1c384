"""A JWT of a configured issuer, as the Temporal Web UI passes it on ("Pass the user access token").

Authorization carries `Bearer <token>` (RFC 6750), Authorization-Extras an ID token without a scheme
(temporalio/ui src/lib/services/data-encoder.ts). Each issuer says in which of the two its tokens come. Such a token
opens other services too, so it is never stored or logged: what names it is a digest.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from django.http import HttpRequest

from codec import identities
from codec.callers import issuers, jwks, permissions
from codec.callers.issuers import AUTHORIZATION, EXTRAS, Issuer
from codec.callers.principal import Principal
from codec.errors import NotSignedIn
from codec.models import User
from keys.audit import printable

logger = logging.getLogger(__name__)

MAX_TOKEN_BYTES = 8 * 1024
LEEWAY_SECONDS = 60

NOT_ACCEPTED = "The codec server does not accept this access token."
EXPIRED = "Your access token has expired. Reload the Temporal Web UI, or sign in there again."
NOBODY = "The codec server does not know the user of this access token. Ask one of its administrators for access."

_BEARER = re.compile(r"bearer ([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)  # RFC 6750, section 2.1
_BARE = re.compile(r"([A-Za-z0-9._~+/-]+=*)", re.ASCII)
_MAX_KEY_ID = 256
_MAX_TIME = 250_000_000_000  # in the year 9892: what a calendar can still hold
_TIMES = ("exp", "iat", "nbf")
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_TYPES = {AUTHORIZATION: {"jwt", "at+jwt"}, EXTRAS: {"jwt"}}
# Claims of tokens for another use: ID tokens (OpenID Connect Core 1.0, 3.1.3.6 and 3.3.2.11); logout tokens, events.
_FOREIGN_CLAIMS = {AUTHORIZATION: {"nonce", "at_hash", "c_hash", "events"}, EXTRAS: {"events"}}
_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "token_expired",
    jwt.ImmatureSignatureError: "token_not_yet_valid",
    jwt.InvalidSignatureError: "token_signature",
    jwt.InvalidKeyError: "token_algorithm",
    jwt.InvalidAudienceError: "token_audience",
    jwt.InvalidIssuerError: "token_issuer",
    jwt.MissingRequiredClaimError: "token_claims",
    jwt.exceptions.InvalidSubjectError: "token_claims",
    jwt.exceptions.InvalidJTIError: "token_claims",
}


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself. Nothing of it is true until its signature is."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]


def read_authorization(request: HttpRequest) -> str | None:
    """Return the bearer token in Authorization, of whatever kind; None without that header.

    Raises NotSignedIn for another scheme, and for anything but one token after exactly one space: for example
    two headers that were joined on the way.
    """
    value = request.headers.get(AUTHORIZATION)
    return None if value is None else _match(_BEARER, value)


def authenticate(request: HttpRequest, token: str | None) -> Principal:
    """Return whom a JWT names. `token` is the one in Authorization. Raises NotSignedIn, KeysUnavailable.

    The token in Authorization decides if it is a JWT of an issuer whose tokens come there. If it is not (it may be
    opaque), the one in Authorization-Extras does. A cookie that came along is never looked at.
    """
    refusal = _refused("token_malformed")
    for header, text in _shown(request, token):
        try:
            unverified = _peek(text)
            issuer = _issuer_of(unverified, header)
        except NotSignedIn as error:
            refusal = error
        else:
            return _principal(verify(unverified, issuer), issuer, credential=credential_name(text))
    raise refusal


def verify(unverified: Unverified, issuer: Issuer) -> dict[str, Any]:
    """Return the claims of a token that `issuer` has signed for us and that is valid now.

    Raises NotSignedIn, whose reason says what is wrong with it, and KeysUnavailable.
    """
    _check_type(unverified.header, issuer)
    _check_times(unverified.claims)
    key = _key(unverified.header, issuer)
    try:
        claims = jwt.decode(
            unverified.token,
            key,
            algorithms=[key.algorithm_name],
            audience=issuer.audiences,
            issuer=issuer.url,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError as error:
        credential = credential_name(unverified.token)
        raise NotSignedIn(EXPIRED, reason="token_expired", credential=credential) from error
    except jwt.PyJWTError as error:
        raise _refused(_REASONS.get(type(error), "token_malformed")) from error
    _check_use(claims, issuer)
    return claims


def credential_name(token: str) -> str:
    """Return e.g. "jwt 1f3a5c7d9b2e": enough to tell tokens apart, useless as one."""
    return f"jwt {hashlib.sha256(token.encode()).hexdigest()[:12]}"


def _shown(request: HttpRequest, token: str | None) -> Iterator[tuple[str, str]]:
    if token is not None:
        yield AUTHORIZATION, token
    if EXTRAS in request.headers:
        yield EXTRAS, request.headers[EXTRAS]


def _match(pattern: re.Pattern[str], value: str) -> str:
    match = pattern.fullmatch(value)
    if match is None:
        raise _refused("token_malformed")
    return match[1]


def _peek(text: str) -> Unverified:
    """Take the token apart without believing it. Raises NotSignedIn when it is no JWT."""
    if len(text) > MAX_TOKEN_BYTES:
        raise _refused("token_too_large")
    token = _match(_BARE, text)
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise _refused("token_malformed") from error
    return Unverified(token, parts["header"], parts["payload"])


def _issuer_of(unverified: Unverified, header: str) -> Issuer:
    issuer = issuers.find(unverified.claims.get("iss"), header)
    if issuer is None:
        raise _refused("token_issuer")
    return issuer


def _check_type(header: dict[str, Any], issuer: Issuer) -> None:
    """Other kinds of JWT that the same key signs say so in `typ` (RFC 8725, section 3.11)."""
    kind = header.get("typ")
    if kind is None and issuer.untyped:
        return
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES[issuer.header]:
        raise _refused("token_type")


def _check_times(claims: dict[str, Any]) -> None:
    """Times are numbers. PyJWT would take a string of digits, true, and what is beyond every calendar."""
    for name in _TIMES:
        value = claims.get(name, 0)
        if type(value) not in {int, float} or not 0 <= value < _MAX_TIME:
            raise _refused("token_claims")


def _key(header: dict[str, Any], issuer: Issuer) -> jwt.PyJWK:
    """Return the issuer's key for the algorithm that the header names, if we allow that and the key does.

    Keys come from the configured URL alone: `jku`, `jwk` and `x5c` in the header are not looked at.
    """
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise _refused("token_algorithm")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= _MAX_KEY_ID:
        raise _refused("token_key")
    try:
        keys = jwks.cache_of(issuer.jwks_url).key(key_id)
    except jwks.KeyUnknown as error:
        raise _refused("token_key_unknown") from error
    if algorithm not in keys:
        raise _refused("token_algorithm")
    return keys[algorithm]


def _check_use(claims: dict[str, Any], issuer: Issuer) -> None:
    """What PyJWT does not check: how long the token lives, and that it is the kind of token that was asked for."""
    if claims["exp"] - claims["iat"] > issuer.max_lifetime_seconds:
        raise _refused("token_lifetime")
    if not _FOREIGN_CLAIMS[issuer.header].isdisjoint(claims):
        raise _refused("token_use")
    if issuer.header == EXTRAS and not _is_authorized_party(claims, issuer):
        raise _refused("token_audience")


def _is_authorized_party(claims: dict[str, Any], issuer: Issuer) -> bool:
    """OpenID Connect Core 1.0, 3.1.3.7: an ID token for several audiences names the one it was issued to in `azp`."""
    audiences = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    parties = [claims["azp"]] if "azp" in claims else audiences
    return len(parties) == 1 and parties[0] in list(issuer.audiences)


def _principal(claims: dict[str, Any], issuer: Issuer, *, credential: str) -> Principal:
    user = identities.find_user(issuer.url, claims["sub"]) or _bind(claims, issuer)
    if user is None:
        logger.info("A valid token of %s is of nobody here: %s", issuer.name, printable(claims["sub"]))
        raise NotSignedIn(NOBODY, reason="token_unknown_user", credential=credential)
    if not user.is_active:
        raise NotSignedIn(NOBODY, reason="token_user_disabled", credential=credential)
    rights = permissions.rights(claims.get(issuer.permissions_claim)) if issuer.permissions_claim else frozenset()
    until = datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS, UTC)
    return Principal(user.pk, user.username, credential, claims=rights, until=until)


def _bind(claims: dict[str, Any], issuer: Issuer) -> User | None:
    """Let a trusted e-mail address open an invitation. An issuer that says it is not verified is believed."""
    email = claims.get(issuer.email_claim)
    if not issuer.email_trusted or not isinstance(email, str) or claims.get("email_verified", True) is not True:
        return None
    return identities.bind_invitation(issuer.url, claims["sub"], email)


def _refused(reason: str) -> NotSignedIn:
    return NotSignedIn(NOT_ACCEPTED, reason=reason)
