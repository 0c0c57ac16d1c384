"""A JWT of a configured issuer, as the Temporal Web UI passes it on: `Pass the user access token`.

Authorization carries `Bearer <token>` (RFC 6750); Authorization-Extras carries an ID token without a scheme
(temporalio/ui src/lib/services/data-encoder.ts). Each issuer says in which of the two its tokens come. A token is
good for other services too, so it is never stored or logged: its name is a digest.
"""

import hashlib
import logging
import math
import re
from dataclasses import dataclass
from typing import Any

import jwt
from django.http import HttpRequest

from codec import identities
from codec.callers import issuers, jwks
from codec.callers.issuers import AUTHORIZATION, EXTRAS, Issuer
from codec.callers.principal import Principal, Right
from codec.errors import NotSignedIn
from codec.models import User
from keys.audit import printable
from keys.names import is_namespace_name

logger = logging.getLogger(__name__)

MAX_TOKEN_BYTES = 8 * 1024
LEEWAY_SECONDS = 60

NOT_ACCEPTED = "The codec server does not accept this access token."
EXPIRED = "Your access token has expired. Reload the Temporal Web UI or sign in there again."
NOBODY = "The codec server does not know the user of this access token. Ask one of its administrators for access."

_BEARER = re.compile(r"bearer ([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)  # RFC 6750, section 2.1
_BARE = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_TIMES = ("exp", "iat", "nbf")
_MAX_TIME = 2**53
_TYPES = {AUTHORIZATION: {"jwt", "at+jwt", "application/at+jwt"}, EXTRAS: {"jwt"}}
# Claims of tokens for other uses: ID tokens (OpenID Connect Core 1.0, 3.1.3.6 and 3.3.2.11), logout and event tokens.
_FOREIGN_CLAIMS = {AUTHORIZATION: {"nonce", "at_hash", "c_hash", "events"}, EXTRAS: {"events"}}
_VERBS = {"read": ("decode",), **dict.fromkeys(("write", "worker", "admin"), ("decode", "encode"))}
_SYSTEM = "temporal-system"
_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "token_expired",
    jwt.ImmatureSignatureError: "token_not_yet_valid",
    jwt.InvalidSignatureError: "token_signature",
    jwt.InvalidAlgorithmError: "token_algorithm",
    jwt.InvalidAudienceError: "token_audience",
    jwt.InvalidIssuerError: "token_issuer",
    jwt.MissingRequiredClaimError: "token_claims",
    jwt.InvalidSubjectError: "token_claims",
    jwt.InvalidJTIError: "token_claims",
}


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself. Nothing of it is true until its signature is."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]


def read_authorization(request: HttpRequest) -> str | None:
    """Return the bearer token in Authorization, of whatever kind; None without that header.

    Raises NotSignedIn for another scheme, and for anything but one token after exactly one space: two headers that
    were joined, for example.
    """
    value = request.headers.get(AUTHORIZATION)
    return None if value is None else _one_token(_BEARER, value)


def authenticate(request: HttpRequest, token: str | None) -> Principal:
    """Return whom a JWT names, given the token in Authorization. Raises NotSignedIn, KeysUnavailable.

    The token in Authorization decides if it is a JWT of an issuer whose tokens come there. If not (it may be
    opaque), the one in Authorization-Extras does. Otherwise nobody is signed in, whatever cookie came along.
    """
    refusal = None
    for header in (AUTHORIZATION, EXTRAS):
        try:
            shown = _peek(token if header == AUTHORIZATION else _read_extras(request))
            issuer = _issuer_of(shown, header)
        except NotSignedIn as error:
            refusal = refusal or error
            continue
        return _principal(verify(shown, issuer), issuer, shown.token)


"""
"""
