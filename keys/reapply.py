"""After a backup is restored: bring its key versions to what the audit says has become of them since.

A restored database has forgotten what was disabled and destroyed after it was copied. The audit lines kept elsewhere
(an export, or what a collector took from standard output) tell. Nothing that decodes is ever given back by a file: a
version that was enabled, or made the primary, meanwhile is reported for a person to decide. Lines that the
database holds itself are passed over, so a file may reach back further than the backup.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.audit_chain import MANAGEMENT
from keys.errors import KeysError
from keys.models import AuditChain, AuditRecord, KeyVersion, Namespace
from keys.names import key_id_digest
from keys.reasons import required

State = KeyVersion.State

_STATES = {
    AuditAction.KEY_DISABLED: State.DISABLED,
    AuditAction.KEY_ENABLED: State.ENABLED,
    AuditAction.KEY_DESTRUCTION_SCHEDULED: State.DESTROY_SCHEDULED,
    AuditAction.KEY_DESTRUCTION_CANCELLED: State.DISABLED,
    AuditAction.KEY_DESTROYED: State.DESTROYED,
}
_MADE = (AuditAction.KEY_CREATED, AuditAction.KEY_IMPORTED)
_READ = {*_STATES, *_MADE, AuditAction.KEY_MADE_PRIMARY}
_ACTIONS = {
    State.DISABLED: AuditAction.KEY_DISABLED,
    State.DESTROY_SCHEDULED: AuditAction.KEY_DESTRUCTION_SCHEDULED,
    State.DESTROYED: AuditAction.KEY_DESTROYED,
}


class NotAnAudit(KeysError):
    """The lines are not audit records as JSON Lines."""


@dataclass(slots=True)
class Fate:
    """What the lines say of one key version. `state` is None when they only tell that it was made."""

    namespace: str
    key_id: str
    state: State | None = None
    destroy_at: datetime | None = None
    event_id: str = ""
    generated: bool = False


@dataclass(slots=True)
class Report:
    """`done` has a sentence for each change, `left` one for each thing that a person has to decide or do."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Told:
    fates: dict[tuple[str, str], Fate] = field(default_factory=dict)
    primaries: dict[str, str] = field(default_factory=dict)
    lost: int = 0


@transaction.atomic
def reapply(lines: Iterable[str], *, actor: Actor, reason: str) -> Report:
    """Apply the key changes in `lines` that this database does not know. May be repeated.

    Raises NotAnAudit, ReasonRequired. Then nothing is changed.
    """
    reason = required(reason)
    told, report = _told(lines), Report()
    if told.lost:
        report.left.append(f"{told.lost} lines were lost on the way to this file. Use an export, which has them all.")
    for fate in told.fates.values():
        _apply(fate, report, actor, reason)
    for namespace, key_id in told.primaries.items():
        _look_at_primary(namespace, key_id, report)
    return report


def _told(lines: Iterable[str]) -> _Told:
    told = _Told()
    records = []
    for record in _records(lines, told):
        if record["action"] in _READ and not _is_known(record):
            records.append(record)
    for record in sorted(records, key=lambda one: (one["at"], one["sequence"])):
        _hear(record, told)
    return told


def _records(lines: Iterable[str], told: _Told) -> Iterator[dict[str, Any]]:
    """Yield the records, whether the lines are those of an export or of standard output."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if "audit_lost" in value:
                told.lost += int(value["audit_lost"])
                continue
            record = value.get("audit", value)
            record["at"] = datetime.fromisoformat(record["at"])
            _ = record["sequence"], record["event_id"], record["namespace"]
            _ = record["details"]["key_id"] if record["action"] in _READ else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotAnAudit(f"Line {number} is no audit record. An export of the format jsonl is wanted.") from error
        yield record


def _is_known(record: dict[str, Any]) -> bool:
    """Does the database hold the record, or has it held it until retention dropped it?"""
    dropped = AuditChain.objects.filter(pk=MANAGEMENT, floor_sequence__gte=record["sequence"])
    held = AuditRecord.objects.filter(chain=MANAGEMENT, sequence=record["sequence"], event_id=record["event_id"])
    return held.exists() or dropped.exists()


def _hear(record: dict[str, Any], told: _Told) -> None:
    namespace, key_id = record["namespace"], record["details"]["key_id"]
    fate = told.fates.setdefault((namespace, key_id), Fate(namespace, key_id))
    if record["action"] == AuditAction.KEY_MADE_PRIMARY:
        told.primaries[namespace] = key_id
    elif record["action"] in _MADE:
        fate.generated = record["action"] == AuditAction.KEY_CREATED
    elif fate.state != State.DESTROYED:  # which is for ever, whatever a file says after it
        fate.state = _STATES[record["action"]]
        fate.event_id = record["event_id"]
        at = record["details"].get("destroy_at")
        fate.destroy_at = parse_datetime(at) if at and fate.state == State.DESTROY_SCHEDULED else None


def _apply(fate: Fate, report: Report, actor: Actor, reason: str) -> None:
    namespace = Namespace.objects.select_for_update().filter(name=fate.namespace).first()
    if namespace is None:
        report.left.append(f"There is no namespace {fate.namespace}. Create it, then run this again.")
        return
    version = KeyVersion.objects.select_for_update().filter(namespace=namespace, key_id=fate.key_id).first()
    if version is None and fate.state != State.DESTROYED:
        report.left.append(
            f"{namespace} {fate.key_id} was made after the backup and is not in it. "
            "If Workers have it, import_key it, then run this again."
        )
        return
    version = version or _unknown(namespace, fate)
    target = _target(version, fate)
    if fate.state == State.ENABLED and State.ENABLED != (target or version.state) != State.DESTROYED:
        report.left.append(f"{namespace} {fate.key_id} had been enabled again. Use enable_key if it should be.")
    if target is not None:
        _move(version, target, fate, actor, reason)
        report.done.append(f"{namespace} {fate.key_id} is now {target}.")
        if not namespace.key_versions.filter(is_primary=True).exists():
            report.left.append(f"{namespace} has no primary now. Use promote_key, or rotate_key.")


def _target(version: KeyVersion, fate: Fate) -> State | None:
    """Return the state to move to, or None. Never ENABLED; but a cancelled destruction does not happen after all."""
    if fate.state is None or version.state == State.DESTROYED:
        return None
    if fate.state == State.ENABLED:
        return State.DISABLED if version.state == State.DESTROY_SCHEDULED else None
    same = version.state == fate.state and version.destroy_at == fate.destroy_at
    return None if same else fate.state


def _unknown(namespace: Namespace, fate: Fate) -> KeyVersion:
    """Return a version that the backup does not have, to be a tombstone: its id is never used again."""
    highest = namespace.key_versions.aggregate(highest=Max("number"))["highest"] or 0
    return KeyVersion(
        namespace=namespace,
        number=highest + 1,
        key_id=fate.key_id,
        key_id_digest=key_id_digest(b"" if fate.key_id == "(empty)" else fate.key_id.encode()),
        origin=KeyVersion.Origin.GENERATED if fate.generated else KeyVersion.Origin.IMPORTED,
        check_value=b"",
    )


def _move(version: KeyVersion, target: State, fate: Fate, actor: Actor, reason: str) -> None:
    details = {"key_id": version.key_id, "from": version.state if version.pk else None, "reason": reason}
    details |= {"reapplied": fate.event_id}
    if target == State.DESTROY_SCHEDULED and fate.destroy_at:
        details["destroy_at"] = fate.destroy_at.isoformat()
    if version.is_primary:
        version.is_primary, version.last_primary_at = False, timezone.now()
    version.state, version.state_changed_at = target, timezone.now()
    version.destroy_at = fate.destroy_at if target == State.DESTROY_SCHEDULED else None
    if target == State.DESTROYED:
        version.wrapped = None
    version.save()
    audit.record(_ACTIONS[target], actor=actor, namespace=version.namespace.name, details=details)


def _look_at_primary(namespace: str, key_id: str, report: Report) -> None:
    version = KeyVersion.objects.filter(namespace__name=namespace, key_id=key_id, state=State.ENABLED).first()
    if version is not None and not version.is_primary:
        report.left.append(f"{namespace} {key_id} had been made the primary. Use promote_key if it should be.")
