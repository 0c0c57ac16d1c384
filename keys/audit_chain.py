"""How audit records are chained, so that no past record can be changed, dropped or slipped in unnoticed.

    mac(n)  = HMAC-SHA256(audit key, "audit-v1" || mac(n-1) || canonical JSON of record n)
    mac(0)  = HMAC-SHA256(audit key, "audit-genesis-v1" || chain name)
    seal(n) = HMAC-SHA256(audit key, "audit-floor-v1" || lp(chain name) || n in 8 bytes || mac(n))

The canonical JSON is that of keys/audit_canonical.py. The audit key lies outside the database,
so that whoever can write the database cannot make a chain that verifies. Where retention has dropped the records up
to n (the chain's floor), seal(n) shows that it did; lp is a 4-byte big-endian length and the UTF-8 text.
"""

from dataclasses import dataclass
from functools import cache

from django.conf import settings

from keys import audit_store
from keys.audit_mould import Line
from keys.audit_store import Execute
from keys.keyed_digest import hmac_sha256
from keys.names import length_prefixed

MANAGEMENT = "management"


@dataclass(slots=True)
class Head:
    """Where a chain has come to: the sequence and MAC of its last record."""

    chain: str
    sequence: int
    mac: bytes


def genesis(chain: str) -> bytes:
    """Return the 32 bytes that stand before a chain's first record."""
    return hmac_sha256(_key(settings.CODEC_AUDIT_KEY), b"audit-genesis-v1" + chain.encode())


def floor_seal(chain: str, sequence: int, mac: bytes) -> bytes:
    """Return the 32 bytes that say: retention has dropped this chain's records up to this one."""
    message = b"audit-floor-v1" + length_prefixed(chain) + sequence.to_bytes(8, "big") + mac
    return hmac_sha256(_key(settings.CODEC_AUDIT_KEY), message)


def mac(canonical: bytes, previous: bytes) -> bytes:
    """Return the 32-byte MAC of a record, as canonical JSON, after the one whose MAC is `previous`."""
    return hmac_sha256(_key(settings.CODEC_AUDIT_KEY), b"audit-v1" + previous + canonical)


def append(head: Head, lines: list[Line], execute: Execute = audit_store.execute) -> None:
    """Write `lines` after `head`, in the caller's transaction, and move the head.

    Raises ChainForked when the stored head is not the one that was read: somebody else has written to the chain.
    """
    read_at = head.sequence
    for line in lines:
        line.chain_id, line.sequence = head.chain, head.sequence + 1
        line.canonical = line.as_canonical()
        line.mac = mac(line.canonical, head.mac)
        head.sequence, head.mac = line.sequence, line.mac
    audit_store.insert(execute, lines)
    if not audit_store.move_head(execute, head.chain, read_at, head.sequence, head.mac):
        raise ChainForked(f"The audit chain {head.chain} has a second writer.")


class ChainForked(Exception):
    """Two writers on one chain. The transaction must be rolled back."""


@cache
def _key(key: str) -> bytes:
    return bytes.fromhex(key)
