"""Drop the oldest part of every audit chain, after it has been exported; the only thing that lifts append-only.

    1. the records to drop are verified while they are written, with a signed manifest, to a directory (audit_export)
    2. one transaction lifts the triggers, drops them, moves each chain's floor and seals it (audit_chain), records
       the retirement with a summary of the register of chains (verification), and puts the triggers back

Broken off at any moment, either nothing is dropped, or everything, and that is on disk. A chain's row stays when all
its records are gone, so that its absence would show.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from keys import append_only, audit, audit_chain, audit_export, checkpoints, fingerprint_index, usage, verification
from keys.actor import Actor
from keys.audit import AuditAction
from keys.audit_formats import Format
from keys.errors import KeysError
from keys.models import AuditChain, AuditRecord
from keys.review import viewings

_BATCH = 2000
_DELETE = "DELETE FROM keys_auditrecord WHERE chain_id = %s AND sequence <= %s"


class RetirementRefused(KeysError):
    """Nothing was dropped; the message says why."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A chain, and its last record that goes."""

    chain: AuditChain
    sequence: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Retired:
    records: int
    chains: int
    sha256: str


def latest_end() -> datetime:
    """Return until when records may be dropped today: CODEC_AUDIT_RETENTION_DAYS ago."""
    return timezone.now() - timedelta(days=settings.CODEC_AUDIT_RETENTION_DAYS)


def retire(before: datetime, directory: Path, *, actor: Actor) -> Retired:
    """Export into `directory`, then drop, what was recorded before `before`. Raises RetirementRefused, ExportRefused.

    Of each chain that is its longest beginning all of which is older.
    """
    _refuse(before)
    audit_export.refuse_used(directory)
    cuts = list(_cuts(before))
    if not cuts:
        return Retired(0, 0, "")
    usage.refresh()  # what sums up the records has to have read them
    viewings.refresh()
    selection = {"before": before.isoformat(), "retired": True}
    export = audit_export.begin(selection, Format.JSONL, actor=actor)
    audit_export.write(export, _records(cuts), directory)
    retired = Retired(export.records, len(cuts), export.sha256)
    _drop(cuts, before, retired, actor=actor)
    checkpoints.publish()
    fingerprint_index.drop_dangling()
    viewings.drop_before(before)
    return retired


def _refuse(before: datetime) -> None:
    if before > latest_end():
        days, latest = settings.CODEC_AUDIT_RETENTION_DAYS, latest_end()
        raise RetirementRefused(f"Records are kept for {days} days: at most those before {latest:%Y-%m-%d} can go.")
    if not append_only.may_be_lifted():
        raise RetirementRefused("Only the role that owns the database's tables may drop records.")
    for finding in chain(verification.missing_chains(), verification.strangers()):
        raise RetirementRefused(f"The audit is not what was written: {finding}")


def _cuts(before: datetime) -> Iterator[Cut]:
    for some in AuditChain.objects.exclude(sequence=F("floor_sequence")):
        records = AuditRecord.objects.filter(chain=some).order_by("sequence")
        stays = records.filter(at__gte=before).first()
        sequence = stays.sequence - 1 if stays else some.sequence
        if sequence > some.floor_sequence:
            last = records.filter(sequence=sequence).first()
            yield Cut(some, sequence, bytes(last.mac) if last else b"")


def _records(cuts: Iterable[Cut]) -> Iterator[AuditRecord]:
    """Yield what goes, chain after chain. Raises RetirementRefused where it is not what was written."""
    for cut in cuts:
        if finding := verification.check_floor(cut.chain):
            raise RetirementRefused(f"The audit is not what was written: {finding}")
        yield from _verified(cut)


def _verified(cut: Cut) -> Iterator[AuditRecord]:
    sequence, previous = cut.chain.floor_sequence, bytes(cut.chain.floor_mac)
    records = AuditRecord.objects.filter(chain=cut.chain, sequence__gt=sequence, sequence__lte=cut.sequence)
    for record in records.order_by("sequence").iterator(_BATCH):
        sequence += 1
        if finding := verification.check_record(record, sequence, previous):
            raise RetirementRefused(f"The audit is not what was written: {finding}")
        previous = bytes(record.mac)
        yield record
    if (sequence, previous) != (cut.sequence, cut.mac):
        raise RetirementRefused(f"The audit is not what was written: {cut.chain} record {sequence + 1} is missing")


@transaction.atomic
def _drop(cuts: list[Cut], before: datetime, retired: Retired, *, actor: Actor) -> None:
    # In the order in which writers lock: the management chain, the table, other chains.
    AuditChain.objects.select_for_update().get(pk=audit_chain.MANAGEMENT)
    with append_only.lifted():
        for cut in cuts:
            _drop_part(cut)
    details = {
        "before": before.isoformat(),
        "records": retired.records,
        "chains": retired.chains,
        "sha256": retired.sha256,
        "register": verification.register(),
    }
    audit.record(AuditAction.AUDIT_RETIRED, actor=actor, details=details)


def _drop_part(cut: Cut) -> None:
    unmoved = AuditChain.objects.filter(pk=cut.chain.pk, floor_sequence=cut.chain.floor_sequence)
    seal = audit_chain.floor_seal(cut.chain.pk, cut.sequence, cut.mac)
    if unmoved.update(floor_sequence=cut.sequence, floor_mac=cut.mac, floor_seal=seal) != 1:
        raise RetirementRefused(f"Somebody else has dropped records of {cut.chain} just now. Nothing was dropped here.")
    with connection.cursor() as cursor:
        cursor.execute(_DELETE, (cut.chain.pk, cut.sequence))
