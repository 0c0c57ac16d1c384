"""The logbook: one append-only record per act.

What people do is recorded in the transaction of the change itself, in the management chain (`record`). Codec
requests are recorded by keys.group_commit, committed before any plaintext leaves. Text that comes from a request
is escaped and cut to 64 characters.
"""

import os
import socket
from enum import StrEnum
from functools import cache
from typing import Any

from django.db import transaction
from django.utils import timezone

from keys.actor import Actor
from keys.audit_chain import MANAGEMENT, Head, append, genesis
from keys.audit_line import AuditLine
from keys.audit_stream import stream
from keys.models import AuditChain, AuditRecord

Outcome = AuditRecord.Outcome
_MAX_TEXT = 64


class AuditAction(StrEnum):
    """`subject:action`, for every act that is recorded."""

    PAYLOAD_DECODED = "payload:decoded"
    PAYLOAD_READ = "payload:read"
    PAYLOAD_ENCODED = "payload:encoded"
    PAYLOAD_DOWNLOADED = "payload:downloaded"
    CHAIN_OPENED = "chain:opened"
    SERVER_STARTED = "server:started"
    SERVER_STOPPED = "server:stopped"
    AUDIT_SEARCHED = "audit:searched"
    AUDIT_EXPORTED = "audit:exported"
    AUDIT_RETIRED = "audit:retired"
    REQUEST_REFUSED = "request:refused"
    SESSION_STARTED = "session:started"
    SESSION_ENDED = "session:ended"
    SIGN_IN_FAILED = "session:sign-in-failed"
    USER_CREATED = "user:created"
    USER_CHANGED = "user:changed"
    USER_DELETED = "user:deleted"
    USER_PASSWORD_CHANGED = "user:password-changed"  # noqa: S105
    USER_GROUPS_CHANGED = "user:groups-changed"
    USER_PERMISSIONS_CHANGED = "user:permissions-changed"
    GROUP_CREATED = "group:created"
    GROUP_CHANGED = "group:changed"
    GROUP_DELETED = "group:deleted"
    GROUP_PERMISSIONS_CHANGED = "group:permissions-changed"
    TOKEN_MADE = "token:made"  # noqa: S105
    TOKEN_REVOKED = "token:revoked"  # noqa: S105
    GROUP_MAPPED = "group:mapped"
    GROUP_UNMAPPED = "group:unmapped"
    IDENTITY_INVITED = "identity:invited"
    IDENTITY_UNINVITED = "identity:uninvited"
    IDENTITY_BOUND = "identity:bound"
    IDENTITY_UNBOUND = "identity:unbound"
    GRANT_GIVEN = "grant:given"
    GRANT_REVOKED = "grant:revoked"
    ACCESS_REQUESTED = "access-request:made"
    ACCESS_REQUEST_APPROVED = "access-request:approved"
    ACCESS_REQUEST_DENIED = "access-request:denied"
    ACCESS_REQUEST_WITHDRAWN = "access-request:withdrawn"
    ACCESS_REQUEST_LAPSED = "access-request:lapsed"
    NAMESPACE_CREATED = "namespace:created"
    NAMESPACE_CHANGED = "namespace:changed"
    NAMESPACE_RETIRED = "namespace:retired"
    NAMESPACE_RESTORED = "namespace:restored"
    NAMESPACE_POLICY_CHANGED = "namespace:policy-changed"
    KEY_CREATED = "key:created"
    KEY_IMPORTED = "key:imported"
    KEY_MADE_PRIMARY = "key:made-primary"
    KEY_DISABLED = "key:disabled"
    KEY_ENABLED = "key:enabled"
    KEY_DESTRUCTION_SCHEDULED = "key:destruction-scheduled"
    KEY_DESTRUCTION_CANCELLED = "key:destruction-cancelled"
    KEY_DESTROYED = "key:destroyed"
    KEY_REWRAPPED = "key:rewrapped"
    AUDIT_READ = "audit:read"
    ALERT_RAISED = "alert:raised"
    VIEWING_REVIEWED = "viewing:reviewed"
    VIEWING_FLAGGED = "viewing:flagged"


def record(
    action: AuditAction,
    *,
    actor: Actor,
    outcome: Outcome = Outcome.ALLOWED,
    reason: str = "",
    namespace: str = "",
    details: dict[str, Any] | None = None,
) -> AuditLine:
    """Append one record to the management chain, in the caller's transaction. `reason` is a code, not free text.

    Raises django.db.DatabaseError.
    """
    line = compose(action, actor=actor, outcome=outcome, reason=reason, namespace=namespace, details=details)
    with transaction.atomic():
        chain = AuditChain.objects.select_for_update().get(pk=MANAGEMENT)
        append(Head(chain.pk, chain.sequence, bytes(chain.mac)), [line])
        transaction.on_commit(lambda: stream.put([line]))
    return line


def compose(
    action: AuditAction,
    *,
    actor: Actor,
    outcome: Outcome = Outcome.ALLOWED,
    reason: str = "",
    namespace: str = "",
    details: dict[str, Any] | None = None,
) -> AuditLine:
    """Return the record without writing it."""
    return AuditLine(
        action=action,
        outcome=outcome,
        reason=reason,
        actor_kind=actor.kind,
        actor_id=printable(actor.id),
        actor_name=actor.name,
        credential=printable(actor.credential),
        namespace=namespace,
        address=printable(actor.address),
        web_origin=printable(actor.web_origin),
        user_agent=printable(actor.user_agent),
        request_id=printable(actor.request_id),
        instance=_instance(),
        details=details or {},
    )


def ensure_management_chain(**kwargs: Any) -> None:
    """Create the management chain when it is not there (receiver of post_migrate)."""
    start = genesis(MANAGEMENT)
    defaults = {"opened_at": timezone.now(), "mac": start, "floor_mac": start}
    AuditChain.objects.get_or_create(name=MANAGEMENT, defaults=defaults)


def printable(text: str) -> str:
    """Return `text` from outside with everything but printable ASCII escaped, at most 64 characters long."""
    if text.isascii() and text.isprintable():
        return text[:_MAX_TEXT]
    escaped = "".join(char if " " <= char <= "~" else f"\\u{{{ord(char):x}}}" for char in text[:_MAX_TEXT])
    return escaped[:_MAX_TEXT]


@cache
def _instance() -> str:
    return f"{socket.gethostname()[:48]}:{os.getpid()}"
