"""Audit records of codec requests as they were at some time, without the requests."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from keys.actor import Actor, ActorKind
from keys.audit import compose
from keys.audit_line import AuditLine
from keys.group_commit import open_chain
from keys.models import AuditChain
from tests.database import write_lines

IDS = {"alice": "101", "bob": "102", "carol": "103", "dave": "104", "mallory": "105"}
ADDRESS = "10.2.3.4"
LONG_AGO = timezone.now().replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=2)


def actor(who: str, *, credential: str = "session 1f3a5c7d9b2e", address: str = ADDRESS) -> Actor:
    return Actor(kind=ActorKind.USER, id=IDS.get(who, who), name=who, credential=credential, address=address)


def request(
    who: str = "alice",
    namespace: str = "payments",
    *,
    at: datetime = LONG_AGO,
    payloads: int = 1,
    key: str = "1-abc",
    action: str = "payload:decoded",
    outcome: str = "allowed",
    reason: str = "",
    details: dict[str, Any] | None = None,
    **origin: str,
) -> AuditLine:
    """Return the line of one codec request; a denied one has no payloads, because its body was never read."""
    counted = {"payloads": payloads, "bytes": payloads * 100, "keys": {key: payloads}} if outcome == "allowed" else {}
    line = compose(
        action,
        actor=actor(who, **origin),
        outcome=outcome,
        reason=reason,
        namespace=namespace,
        details=counted | (details or {}),
    )
    line.at = at
    return line


def minutes(*after: float, **given: Any) -> list[AuditLine]:
    """Return requests at these minutes after LONG_AGO."""
    return [request(at=LONG_AGO + timedelta(minutes=minute), **given) for minute in after]


def write(lines: Iterable[AuditLine], *, chain: str = "codec-1") -> None:
    """Append the lines to a chain, which is opened when there is none of that name."""
    if not AuditChain.objects.filter(pk=chain).exists():
        open_chain(chain)
    write_lines(*lines, chain=chain)
