"""Is a key version still used? Read from the audit, summed up per day in KeyUse.

Only what passes this server is seen: Workers encrypt and decrypt by themselves. So the time a version was primary
counts as use as well.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import F, Max, Min, Q, Sum
from django.utils import timezone

from keys.audit import AuditAction, Outcome
from keys.models import AuditRecord, KeyUse, KeyVersion, UsageCursor

LIMIT = 2**32  # encryptions under one AES-GCM key with random nonces (NIST SP 800-38D, 8.3)
_SETTLED = timedelta(minutes=1)  # a record with a lower id may be committed later than one with a higher
_BATCH = 5000
_COUNTED = {
    AuditAction.PAYLOAD_DECODED: "decoded",
    AuditAction.PAYLOAD_READ: "decoded",
    AuditAction.PAYLOAD_ENCODED: "encoded",
}


@dataclass(frozen=True, slots=True)
class Use:
    """What the audit says of one version. Days are UTC."""

    last_decode: date | None
    decodes_in_30_days: int
    first_encode: date | None
    last_encode: date | None


def use_of(version: KeyVersion) -> Use:
    """Return the use of `version` up to a minute ago."""
    refresh()
    recent = timezone.now().date() - timedelta(days=30)
    decoded, encoded = Q(decoded__gt=0), Q(encoded__gt=0)
    sums = version.uses.aggregate(
        last_decode=Max("day", filter=decoded),
        decodes=Sum("decoded", filter=Q(day__gt=recent)),
        first_encode=Min("day", filter=encoded),
        last_encode=Max("day", filter=encoded),
    )
    return Use(sums["last_decode"], sums["decodes"] or 0, sums["first_encode"], sums["last_encode"])


def needed_until(version: KeyVersion) -> datetime | None:
    """Return until when Temporal may keep payloads that this version encoded, or None if it never encoded any."""
    retention = timedelta(days=version.namespace.history_retention_days)
    ends = [_end_of_encoding(version), _end_of(use_of(version).last_encode)]
    known = [moment for moment in ends if moment is not None]
    return max(known) + retention if known else None


def estimated_share_of_limit(version: KeyVersion) -> float | None:
    """Return the share of LIMIT thought used, from the rate the operator expects; None without a rate."""
    rate = version.namespace.expected_encryptions_per_day
    if rate is None:
        return None
    until = timezone.now() if version.is_primary else version.last_primary_at
    days = (until - version.created_at) / timedelta(days=1) if until else 0.0
    return rate * days / LIMIT


@transaction.atomic
def refresh() -> None:
    """Add what the audit has gained since the last time to KeyUse. Safe to run in several processes."""
    UsageCursor.objects.get_or_create(pk=1)
    cursor = UsageCursor.objects.select_for_update().get(pk=1)
    while batch := list(_settled_after(cursor.last_record_id)):
        _add(batch)
        cursor.last_record_id = batch[-1].pk
        cursor.save()


def _settled_after(record_id: int) -> "list[AuditRecord]":
    settled = AuditRecord.objects.filter(pk__gt=record_id, at__lt=timezone.now() - _SETTLED)
    return list(settled.only("pk", "at", "action", "outcome", "namespace", "details").order_by("pk")[:_BATCH])


def _add(records: list[AuditRecord]) -> None:
    sums: dict[tuple[str, str, date, str], int] = defaultdict(int)
    for record in records:
        column = _COUNTED.get(record.action)  # type: ignore[call-overload]
        if column and record.outcome == Outcome.ALLOWED:
            for key_id, number in record.details.get("keys", {}).items():
                sums[record.namespace, key_id, record.at.date(), column] += number
    for (namespace, key_id, day, column), number in sums.items():
        version = KeyVersion.objects.filter(namespace__name=namespace, key_id=key_id).first()
        if version is not None:
            use, _ = KeyUse.objects.get_or_create(version=version, day=day)
            KeyUse.objects.filter(pk=use.pk).update(**{column: F(column) + number})


def _end_of_encoding(version: KeyVersion) -> datetime | None:
    """Return until when Workers may have encoded with it. They are not seen here, so an imported key is in use.

    Only one that was taken out of use, and whose ciphertext nobody missed, is thought unused since then.
    """
    if version.is_primary:
        return timezone.now()
    if version.origin == KeyVersion.Origin.IMPORTED:
        return timezone.now() if version.state == KeyVersion.State.ENABLED else version.state_changed_at
    return version.last_primary_at


def _end_of(day: date | None) -> datetime | None:
    return (
        datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone()) + timedelta(days=1)
        if day
        else None
    )
