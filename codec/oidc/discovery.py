"""Where the provider's endpoints are: its discovery document (OpenID Connect Discovery 1.0), fetched when needed.

Nothing is asked at the start, so the server starts while the provider is away. A document counts for an hour, and for
a day when it cannot be fetched again. After a failure the provider is left alone for 30 seconds.
"""

import logging
import math
import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from codec.callers.jwks import is_safe_url
from codec.oidc import conf, transport
from codec.oidc.errors import ProviderAway

logger = logging.getLogger(__name__)

FRESH = 3600.0
STALE = 24 * 3600.0
COOLDOWN = 30.0
_clock = time.monotonic
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID provider. Endpoints that it does not have are empty."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    takes_secret_in_form: bool = False


@dataclass(slots=True)
class _Known:
    provider: Provider | None = None
    came_at: float = -math.inf
    failed_at: float = -math.inf


_known: dict[str, _Known] = {}
_lock = threading.Lock()


def provider() -> Provider:
    """Return the configured provider. Raises ProviderAway."""
    issuer = conf.issuer()
    known = _known.setdefault(issuer, _Known())
    if _clock() - known.came_at > FRESH and _clock() - known.failed_at > COOLDOWN:
        with _lock:
            _refresh(issuer, known)
    if known.provider is None or _clock() - known.came_at > STALE:
        raise ProviderAway(part="discovery document")
    return known.provider


def _refresh(issuer: str, known: _Known) -> None:
    if _clock() - known.came_at <= FRESH or _clock() - known.failed_at <= COOLDOWN:
        return  # while this thread waited for the lock, another one asked
    try:
        known.provider = _fetch(issuer)
        known.came_at = _clock()
    except transport.NoAnswer as error:
        known.failed_at = _clock()
        logger.error("The discovery document of %s cannot be used: %s", issuer, error)


def _fetch(issuer: str) -> Provider:
    document = transport.get_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != issuer:  # Discovery 4.3: exactly, with or without the slash at the end
        raise transport.NoAnswer("it is of another issuer; CODEC_OIDC_ISSUER must be what `issuer` says there")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Provider(
        issuer=issuer,
        authorization_endpoint=_required(document, "authorization_endpoint"),
        token_endpoint=_required(document, "token_endpoint"),
        jwks_uri=_required(document, "jwks_uri"),
        userinfo_endpoint=_url(document, "userinfo_endpoint"),
        end_session_endpoint=_url(document, "end_session_endpoint"),
        # Basic is what a provider that says nothing takes (Discovery 3), and what all but few take besides.
        takes_secret_in_form=isinstance(methods, list) and "client_secret_basic" not in methods,
    )


def _required(document: dict[str, Any], name: str) -> str:
    if url := _url(document, name):
        return url
    raise transport.NoAnswer(f"it has no usable {name}")


def _url(document: dict[str, Any], name: str) -> str:
    url = document.get(name)
    return url if isinstance(url, str) and _PRINTABLE.fullmatch(url) and is_safe_url(url) else ""
