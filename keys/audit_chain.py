"""How audit records are chained, so that no past record can be changed, dropped or slipped in unnoticed.

    mac(n)  = HMAC-SHA256(audit key, "audit-v1" || mac(n-1) || canonical JSON of record n)
    mac(0)  = HMAC-SHA256(audit key, "audit-genesis-v1" || chain name)

Canonical JSON: every field of the record but its MAC and its row id, chain and sequence among them; keys sorted,
no spaces, ASCII only, no floats; `at` in UTC with microseconds; bytes in hex. The audit key lies outside the
database, so that whoever can write the database cannot make a chain that verifies.
"""

import hmac
import json
from datetime import UTC
from typing import Any

from django.conf import settings

from keys.models import AuditChain, AuditRecord

MANAGEMENT = "management"

_TEXT_FIELDS = (
    *("action", "outcome", "reason", "actor_kind", "actor_id", "actor_name", "credential", "namespace"),
    *("address", "web_origin", "user_agent", "request_id", "instance"),
)


def genesis(chain: str) -> bytes:
    """Return the 32 bytes that stand before a chain's first record."""
    return hmac.digest(_key(), b"audit-genesis-v1" + chain.encode(), "sha256")


def mac(record: AuditRecord, previous: bytes) -> bytes:
    """Return the 32-byte MAC of a record after the one whose MAC is `previous`."""
    return hmac.digest(_key(), b"audit-v1" + previous + canonical(record).encode(), "sha256")


def canonical(record: AuditRecord) -> str:
    """Return the record as canonical JSON."""
    return json.dumps(as_dict(record), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def as_dict(record: AuditRecord) -> dict[str, Any]:
    """Return what the MAC covers, ready for JSON."""
    fields: dict[str, Any] = {name: str(getattr(record, name)) for name in _TEXT_FIELDS}
    return fields | {
        "chain": record.chain_id,
        "sequence": record.sequence,
        "event_id": str(record.event_id),
        "at": record.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "details": record.details,
        "fingerprints": bytes(record.fingerprints).hex(),
    }


def append(chain: AuditChain, records: list[AuditRecord]) -> None:
    """Write `records` at the end of `chain`, whose row the caller has locked or is the only writer of.

    Raises ChainForked when the chain's head is not the one that was read: somebody else has written to it.
    """
    read_at = chain.sequence
    for record in records:
        record.chain, record.sequence = chain, chain.sequence + 1
        record.mac = mac(record, bytes(chain.mac))
        chain.sequence, chain.mac = record.sequence, record.mac
    AuditRecord.objects.bulk_create(records)
    unmoved = AuditChain.objects.filter(pk=chain.pk, sequence=read_at)
    if unmoved.update(sequence=chain.sequence, mac=chain.mac) != 1:
        raise ChainForked(f"The audit chain {chain.pk} has a second writer.")


class ChainForked(Exception):
    """Two writers on one chain. The transaction must be rolled back."""


def _key() -> bytes:
    return bytes.fromhex(settings.CODEC_AUDIT_KEY)
