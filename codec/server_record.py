"""A server's start and its end in the audit; and the settings it has started with, but no secret.

Numbers and switches stand there as they are, and of texts those in SHOWN. Of any other stands a digest, which tells
only that it has changed: the first 8 bytes of HMAC-SHA256(audit key, "setting-v1" || name || "=" || JSON of it).
"""

import hmac
import json
import logging
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from keys import audit
from keys.actor import operator
from keys.audit import AuditAction

logger = logging.getLogger(__name__)

SHOWN = {
    *("CODEC_PUBLIC_URL", "CODEC_BIND", "CODEC_UI_ORIGINS", "CODEC_VAR", "CODEC_CHECKPOINT_FILE"),
    *("CODEC_TLS_CERTIFICATE", "CODEC_TLS_PRIVATE_KEY"),  # where they lie
    *("CODEC_OIDC_ISSUER", "CODEC_OIDC_NAME", "CODEC_OIDC_GROUPS_CLAIM", "CODEC_TOKEN_ISSUERS"),
    *("ALLOWED_HOSTS", "OIDC_RP_CLIENT_ID", "OIDC_RP_SCOPES", "OIDC_RP_SIGN_ALGO", "SESSION_COOKIE_SAMESITE"),
}
_OTHERS = SHOWN | {"PORT", "SECRET_KEY", "DATABASES", "SESSION_COOKIE_AGE", "OIDC_RP_CLIENT_SECRET"}


def started() -> None:
    """Record that this process begins to serve. Raises django.db.DatabaseError; then it must not."""
    details = {"version": settings.VERSION, "settings": seen()}
    audit.record(AuditAction.SERVER_STARTED, actor=operator(), details=details)


def stopped() -> None:
    """Record that this process ends in order. One that was killed says nothing."""
    try:
        audit.record(AuditAction.SERVER_STOPPED, actor=operator())
    except DatabaseError:
        logger.exception("the end of this server could not be recorded")


def seen() -> dict[str, Any]:
    """Return what may be told of the settings in force."""
    names = sorted(name for name in dir(settings) if name.startswith("CODEC_") or name in _OTHERS)
    return {name: _shown(name, getattr(settings, name)) for name in names}


def _shown(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    plain = json.dumps(value, sort_keys=True, default=str)
    return json.loads(plain) if name in SHOWN else f"digest {_digest(name, plain)}"


def _digest(name: str, text: str) -> str:
    message = f"setting-v1{name}={text}".encode()
    return hmac.digest(bytes.fromhex(settings.CODEC_AUDIT_KEY), message, "sha256")[:8].hex()
