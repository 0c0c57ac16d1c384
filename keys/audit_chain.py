"""How audit records are chained, so that no past record can be changed, dropped or slipped in unnoticed.

    mac(n)  = HMAC-SHA256(audit key, "audit-v1" || mac(n-1) || canonical JSON of record n)
    mac(0)  = HMAC-SHA256(audit key, "audit-genesis-v1" || chain name)

Canonical JSON: every field of the record but its MAC and its row id, chain and sequence among them; UTF-8, keys
sorted, no spaces, no floats; `at` in UTC with microseconds; bytes in hex. The audit key lies outside the database,
so that whoever can write the database cannot make a chain that verifies.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from keys.audit_line import INSERT, TEXT_FIELDS, AuditLine
from keys.models import AuditRecord

MANAGEMENT = "management"


@dataclass(slots=True)
class Head:
    """Where a chain has come to: the sequence and MAC of its last record."""

    chain: str
    sequence: int
    mac: bytes


def genesis(chain: str) -> bytes:
    """Return the 32 bytes that stand before a chain's first record."""
    return hmac.digest(_key(), b"audit-genesis-v1" + chain.encode(), "sha256")


def mac(record: AuditRecord | AuditLine, previous: bytes) -> bytes:
    """Return the 32-byte MAC of a record after the one whose MAC is `previous`."""
    return hmac.digest(_key(), b"audit-v1" + previous + canonical(record), "sha256")


def canonical(record: AuditRecord | AuditLine) -> bytes:
    """Return the record as canonical JSON."""
    return orjson.dumps(as_dict(record), option=orjson.OPT_SORT_KEYS)


def as_dict(record: AuditRecord | AuditLine) -> dict[str, Any]:
    """Return what the MAC covers, ready for JSON."""
    fields: dict[str, Any] = {name: str(getattr(record, name)) for name in TEXT_FIELDS}
    fields["chain"] = record.chain_id
    fields["sequence"] = record.sequence
    fields["event_id"] = str(record.event_id)
    fields["at"] = record.at.astimezone(UTC).isoformat(timespec="microseconds")
    fields["details"] = record.details
    fields["fingerprints"] = bytes(record.fingerprints).hex()
    return fields


def append(head: Head, lines: list[AuditLine]) -> None:
    """Write `lines` after `head`, in the caller's transaction, and move the head.

    Raises ChainForked when the stored head is not the one that was read: somebody else has written to the chain.
    """
    read_at = head.sequence
    for line in lines:
        line.chain_id, line.sequence = head.chain, head.sequence + 1
        line.mac = mac(line, head.mac)
        head.sequence, head.mac = line.sequence, line.mac
    with connection.cursor() as cursor:
        cursor.executemany(INSERT, [line.row() for line in lines])
        cursor.execute(_MOVE_HEAD, [head.sequence, head.mac, head.chain, read_at])
        if cursor.rowcount != 1:
            raise ChainForked(f"The audit chain {head.chain} has a second writer.")


class ChainForked(Exception):
    """Two writers on one chain. The transaction must be rolled back."""


_MOVE_HEAD = "UPDATE keys_auditchain SET sequence = %s, mac = %s WHERE name = %s AND sequence = %s"


def _key() -> bytes:
    return _from_hex(settings.CODEC_AUDIT_KEY)


@cache
def _from_hex(key: str) -> bytes:
    return bytes.fromhex(key)
