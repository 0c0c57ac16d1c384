"""The record of an act that is done again and again: its shape is made once, and filled in each time.

For a codec request that repeats another, to compose the record, and its canonical JSON above all, cost as much as to
decode (ADR 11). Filled in is what differs from one time to the next; the rest is the first record's.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from keys.audit_canonical import as_dict, in_utc
from keys.audit_line import TEXT_FIELDS, AuditLine, ToBeChained, row_time

_FILLED_IN = ("at", "chain", "details", "event_id", "fingerprints", "request_id", "sequence")  # in the JSON's order


class Mould:
    """Made from the first record; `template` is its canonical JSON with %b for each of _FILLED_IN."""

    def __init__(self, line: AuditLine) -> None:
        gaps = {name: secrets.token_hex(16) for name in _FILLED_IN}
        template = orjson.dumps(as_dict(line) | gaps, option=orjson.OPT_SORT_KEYS).replace(b"%", b"%%")
        for gap in gaps.values():
            template = template.replace(b'"%b"' % gap.encode(), b"%b")
        self.template = template
        self.texts = tuple(getattr(line, name) for name in TEXT_FIELDS[1:])


@dataclass(slots=True)
class MouldedLine(ToBeChained):
    """One more record of the same act, now. `details` are JSON (`details_json`)."""

    mould: Mould
    request_id: str
    details: bytes

    def as_canonical(self) -> bytes:
        return self.mould.template % (
            orjson.dumps(in_utc(self.at)),
            orjson.dumps(self.chain_id),
            self.details,
            orjson.dumps(self.event_id),
            orjson.dumps(self.fingerprints.hex()),
            orjson.dumps(self.request_id),
            b"%d" % self.sequence,
        )

    def row(self) -> tuple[Any, ...]:
        """Return the values of INSERT, as AuditLine does."""
        return (
            self.chain_id,
            self.sequence,
            self.mac,
            self.event_id.hex,
            row_time(self.at),
            self.details.decode(),
            self.fingerprints,
            self.request_id,
            *self.mould.texts,
        )


Line = AuditLine | MouldedLine


def details_json(details: dict[str, Any]) -> bytes:
    """Return details as canonical JSON has them."""
    return orjson.dumps(details, option=orjson.OPT_SORT_KEYS)
