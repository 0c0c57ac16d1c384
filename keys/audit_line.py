"""One line of the logbook before it is a row.

Plain slots and one INSERT statement, because a line is written for every codec request: the ORM's instance and
bulk_create cost more than everything else in the request (docs/adr/0006).
"""

import os
import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from keys.audit_canonical import canonical

TEXT_FIELDS = (
    *("request_id", "action", "outcome", "reason", "actor_kind", "actor_id", "actor_name", "credential", "namespace"),
    *("address", "web_origin", "user_agent", "instance"),
)
_COLUMNS = ("chain_id", "sequence", "mac", "event_id", "at", "details", "fingerprints", *TEXT_FIELDS)
INSERT = f"INSERT INTO keys_auditrecord ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608


_VERSION_AND_VARIANT = 0xF << 76 | 0x3 << 62
_random = random.Random(os.urandom(32))  # noqa: S311  event ids must differ; nobody has to be unable to guess them


def new_event_id() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, then random bits; they sort by time."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | _random.getrandbits(80)
    return uuid.UUID(int=number & ~_VERSION_AND_VARIANT | 0x7 << 76 | 0x2 << 62)


def row_time(moment: datetime) -> str:
    """Return a time in UTC as Django writes it: SQLite compares times as text."""
    return moment.replace(tzinfo=None).isoformat(" ")


@dataclass(slots=True, kw_only=True)
class ToBeChained:
    """What every line has. `chain_id`, `sequence`, `mac` and `canonical` are set when it is chained."""

    fingerprints: bytes = b""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    event_id: uuid.UUID = field(default_factory=new_event_id)
    chain_id: str = ""
    sequence: int = 0
    mac: bytes = b""
    canonical: bytes = b""


@dataclass(slots=True, kw_only=True)
class AuditLine(ToBeChained):
    """The fields of AuditRecord."""

    action: str
    outcome: str
    reason: str
    actor_kind: str
    actor_id: str
    actor_name: str
    credential: str
    namespace: str
    address: str
    web_origin: str
    user_agent: str
    request_id: str
    instance: str
    details: dict[str, Any]

    def as_canonical(self) -> bytes:
        return canonical(self)

    def row(self) -> tuple[Any, ...]:
        """Return the values of INSERT, in a form that SQLite and PostgreSQL both take. Times are UTC."""
        return (
            self.chain_id,
            self.sequence,
            self.mac,
            self.event_id.hex,
            row_time(self.at),
            orjson.dumps(self.details).decode(),
            self.fingerprints,
            self.request_id,
            self.action,
            self.outcome,
            self.reason,
            self.actor_kind,
            self.actor_id,
            self.actor_name,
            self.credential,
            self.namespace,
            self.address,
            self.web_origin,
            self.user_agent,
            self.instance,
        )
