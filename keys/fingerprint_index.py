"""Which audit records hold a fingerprint? A search index over what the records themselves say, filled afterwards.

A chain has one writer and no gaps, so one number per chain tells how far the index has come in it. What it has not
come to yet is read from the records, and so is what it points at: the index only saves time. It may be behind or
be thrown away (`manage.py rebuild_fingerprint_index`), and it can accuse nobody.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from keys.fingerprints import unpack
from keys.models import AuditChain, AuditRecord, FingerprintCursor, FingerprintEntry
from keys.portions import portion

_ENTRIES = 1000  # a portion
_IDS = 500
# Past the ORM, which costs eight times as much: every payload that is decoded has an entry.
_ADD = "INSERT INTO keys_fingerprintentry (fingerprint, record_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"

T = TypeVar("T")


def refresh() -> int:
    """Add what the chains have gained since the last time; return how many records were read. Safe anywhere."""
    return sum(number for name in _chains_behind() for number in _read_on(name))


def clear() -> None:
    """Throw the index away; `refresh` makes it anew. Until then the records are searched one by one."""
    with transaction.atomic():
        FingerprintCursor.objects.all().delete()
        FingerprintEntry.objects.all().delete()


def drop_dangling() -> None:
    """Remove what points at records that are no more. Reads the whole index."""
    FingerprintEntry.objects.filter(~Exists(AuditRecord.objects.filter(pk=OuterRef("record_id")))).delete()


def find(wanted: set[bytes]) -> Iterator[tuple[AuditRecord, set[bytes]]]:
    """Yield every record that holds any of `wanted`, with those that it holds; in the order they were stored."""
    ids = sorted(_not_indexed(wanted) | _indexed(wanted))  # in this order: what is indexed meanwhile is found twice
    for some in _portions(ids):
        for record in AuditRecord.objects.filter(pk__in=some).order_by("pk"):
            if held := wanted.intersection(unpack(bytes(record.fingerprints))):
                yield record, held


def _indexed(wanted: set[bytes]) -> set[int]:
    found: set[int] = set()
    for some in _portions(wanted):
        found.update(FingerprintEntry.objects.filter(fingerprint__in=some).values_list("record_id", flat=True))
    return found


def _not_indexed(wanted: set[bytes]) -> set[int]:
    return {
        pk
        for name in _chains_behind()
        for pk, _, packed in _beyond(name, _come_to(name)).exclude(fingerprints=b"").iterator()
        if wanted.intersection(unpack(bytes(packed)))
    }


def _chains_behind() -> list[str]:
    """Return the chains that hold more than the index knows."""
    behind = Q(fingerprint_cursor=None) | Q(sequence__gt=F("fingerprint_cursor__sequence"))
    return list(AuditChain.objects.filter(behind, sequence__gt=F("floor_sequence")).values_list("pk", flat=True))


def _read_on(name: str) -> Iterator[int]:
    """Index the rest of a chain, a portion at a time; yield how many records each has read."""
    while number := _index_some(name):
        yield number


@portion()
def _index_some(name: str) -> int:
    FingerprintCursor.objects.get_or_create(chain_id=name)
    cursor = FingerprintCursor.objects.select_for_update().get(pk=name)
    records = list(_first(_beyond(name, cursor.sequence)[:_ENTRIES]))
    if records:
        with connection.cursor() as database:
            database.executemany(_ADD, [(one, pk) for pk, _, held in records for one in held])
        FingerprintCursor.objects.filter(pk=name).update(sequence=records[-1][1])
    return len(records)


def _first(records: Iterable[tuple[int, int, bytes | memoryview]]) -> Iterator[tuple[int, int, set[bytes]]]:
    """Yield id, sequence and fingerprints of as many records as one transaction takes."""
    room = _ENTRIES
    for pk, sequence, packed in records:
        held = set(unpack(bytes(packed)))
        yield pk, sequence, held
        room -= max(1, len(held))
        if room <= 0:
            return


def _beyond(name: str, sequence: int) -> "QuerySet[AuditRecord, tuple[int, int, bytes | memoryview]]":
    """Return id, sequence and packed fingerprints of the records after `sequence`, in order."""
    records = AuditRecord.objects.filter(chain=name, sequence__gt=sequence).order_by("sequence")
    return records.values_list("pk", "sequence", "fingerprints")


def _come_to(name: str) -> int:
    cursor = FingerprintCursor.objects.filter(pk=name).first()
    return cursor.sequence if cursor else 0


def _portions(items: Collection[T]) -> Iterator[list[T]]:
    """Yield the items in lists that one query takes."""
    rest = iter(items)
    while some := list(islice(rest, _IDS)):
        yield some
