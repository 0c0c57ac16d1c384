"""What a person has decoded of late, from the audit: the records of one hour and namespace together."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from codec.models import User
from keys.actor import ActorKind
from keys.audit import AuditAction
from keys.models import AuditRecord

_RECORDS = 500
_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Decodes:
    """Requests with one outcome ("allowed", "denied" or "failed") in one namespace, within one hour (UTC)."""

    namespace: str
    outcome: str
    first_at: datetime
    last_at: datetime
    requests: int
    payloads: int
    break_glass: bool


def recent_decodes(user: User) -> list[Decodes]:
    """Return the latest groups of the person's own requests to decode, the latest first."""
    records = AuditRecord.objects.filter(
        actor_kind=ActorKind.USER, actor_id=str(user.pk), action=AuditAction.PAYLOAD_DECODED
    )
    groups: dict[tuple[str, str, str, str], list[AuditRecord]] = defaultdict(list)
    for record in records.only("at", "namespace", "outcome", "reason", "details")[:_RECORDS]:
        marked = record.reason if record.reason == "break_glass" else ""
        groups[f"{record.at:%Y-%m-%d %H}", record.namespace, record.outcome, marked].append(record)
    return [_group(records) for records in list(groups.values())[:_GROUPS]]


def _group(records: list[AuditRecord]) -> Decodes:
    latest = records[0]
    return Decodes(
        namespace=latest.namespace,
        outcome=latest.outcome,
        first_at=records[-1].at,
        last_at=latest.at,
        requests=len(records),
        payloads=sum(record.details.get("payloads", 0) for record in records),
        break_glass=latest.reason == "break_glass",
    )
