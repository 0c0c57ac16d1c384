"""Canonical JSON of an audit record: what its MAC covers.

Every field of the record but its MAC and its row id, chain and sequence among them; UTF-8, keys sorted, no spaces, no
floats; `at` in UTC with microseconds; bytes in hex.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from keys.audit_line import AuditLine
    from keys.models import AuditRecord


def canonical(record: "AuditRecord | AuditLine") -> bytes:
    """Return the record as canonical JSON."""
    return orjson.dumps(as_dict(record), option=orjson.OPT_SORT_KEYS)


def as_dict(record: "AuditRecord | AuditLine") -> dict[str, Any]:
    """Return what the MAC covers, ready for JSON."""
    return {
        "action": record.action,
        "actor_id": record.actor_id,
        "actor_kind": record.actor_kind,
        "actor_name": record.actor_name,
        "address": record.address,
        "at": in_utc(record.at),
        "chain": record.chain_id,
        "credential": record.credential,
        "details": record.details,
        "event_id": record.event_id,
        "fingerprints": bytes(record.fingerprints).hex(),
        "instance": record.instance,
        "namespace": record.namespace,
        "outcome": record.outcome,
        "reason": record.reason,
        "request_id": record.request_id,
        "sequence": record.sequence,
        "user_agent": record.user_agent,
        "web_origin": record.web_origin,
    }


def in_utc(moment: datetime) -> str:
    """Return the time as canonical JSON has it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
