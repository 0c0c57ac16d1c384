"""An audit record as a line for others: JSON Lines as it is chained, CSV for spreadsheets, OCSF for a SIEM."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import orjson

from keys.audit import Outcome
from keys.audit_canonical import as_dict
from keys.models import AuditRecord
from keys.spreadsheet import csv_lines

_COLUMNS = (
    *("at", "action", "outcome", "reason", "actor_kind", "actor_id", "actor_name", "credential", "namespace"),
    *("address", "web_origin", "user_agent", "request_id", "instance", "details", "event_id", "chain", "sequence"),
)

_OCSF_VERSION = "1.3.0"
_API_ACTIVITY = 6003
_ACTIVITIES = {"created": 1, "encoded": 1, "decoded": 2, "read": 2, "downloaded": 2, "changed": 3, "deleted": 4}
_OTHER = 99


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"

    @property
    def file_name(self) -> str:
        return {Format.JSONL: "audit.jsonl", Format.CSV: "audit.csv", Format.OCSF: "audit.ocsf.jsonl"}[self]

    def lines(self, records: Iterable[AuditRecord]) -> Iterator[bytes]:
        if self is Format.CSV:
            return (line.encode() for line in csv_lines(_COLUMNS, map(_cells, records)))
        return map(_jsonl if self is Format.JSONL else _ocsf, records)


def _jsonl(record: AuditRecord) -> bytes:
    """Return every field, with the MAC that chains it; keys sorted."""
    return _json_line(as_dict(record) | {"mac": bytes(record.mac).hex()})


def _cells(record: AuditRecord) -> list[str]:
    fields = as_dict(record)
    fields["details"] = orjson.dumps(record.details, option=orjson.OPT_SORT_KEYS).decode()
    return [str(fields[name]) for name in _COLUMNS]


def _ocsf(record: AuditRecord) -> bytes:
    """Return an event of the class API Activity (schema.ocsf.io, class 6003)."""
    activity = _ACTIVITIES.get(record.action.partition(":")[2], _OTHER)
    event: dict[str, Any] = {
        "category_uid": _API_ACTIVITY // 1000,
        "class_uid": _API_ACTIVITY,
        "activity_id": activity,
        "activity_name": record.action,
        "type_uid": _API_ACTIVITY * 100 + activity,
        "time": int(record.at.timestamp() * 1000),
        "severity_id": 1,
        "status_id": 1 if record.outcome == Outcome.ALLOWED else 2,
        "status": record.outcome,
        "status_code": record.reason,
        "actor": _actor(record),
        "src_endpoint": {"ip": record.address} if record.address else {"name": record.instance},
        "api": {"operation": record.action, "request": {"uid": record.request_id}},
        "http_request": {"user_agent": record.user_agent},
        "metadata": _metadata(record),
        "unmapped": {"details": record.details, "web_origin": record.web_origin, "instance": record.instance},
    }
    if record.namespace:
        event["resources"] = [{"name": record.namespace, "type": "Temporal Namespace"}]
    return _json_line(event)


def _actor(record: AuditRecord) -> dict[str, Any]:
    if not record.actor_name:
        return {"app_name": record.actor_kind}
    user = {"name": record.actor_name, "uid": record.actor_id or record.actor_name, "type": record.actor_kind}
    return {"user": user, "session": {"uid": record.credential}} if record.credential else {"user": user}


def _metadata(record: AuditRecord) -> dict[str, Any]:
    product = {"name": "Codec Server", "vendor_name": "Temporal Codec Server"}
    chain = {"log_name": record.chain_id, "sequence": record.sequence}
    return {"version": _OCSF_VERSION, "product": product, "uid": str(record.event_id), **chain}


def _json_line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
