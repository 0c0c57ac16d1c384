"""Keeps the table of viewings, and the copy of the reviews, up to the audit.

Each chain is read on from where the last reading stopped, by sequence, so that no record is missed or counted twice
however late it was committed. Everything here can be made anew from the audit, by `rebuild`.
"""

from collections.abc import Iterable
from dataclasses import asdict

from django.db import transaction

from keys.audit_chain import MANAGEMENT
from keys.models import AuditChain, AuditRecord
from keys.review import marks, reviews
from keys.review.grouping import GAP, LONGEST, Request, Tally, Trail, group
from keys.review.models import Review, Viewing, ViewingCursor, ViewingMark

_BATCH = 2000  # one transaction each, which other writers on SQLite have to wait for
_COUNTED = (
    *("first_event_id", "actor_name", "started_at", "ended_at", "requests", "read", "written", "bytes"),
    *("denied", "failed", "break_glass", "keys", "addresses", "reasons", "not_enabled"),
)
_CHANGING = (*_COUNTED, "status", "review", "reviewed_at", "is_marked")


def refresh() -> None:
    """Bring viewings, reviews and marks up to the audit. Safe to run in several processes."""
    ViewingCursor.objects.get_or_create(pk=MANAGEMENT)
    for chain, head in _unread():
        while _take_batch(chain, head):
            pass
    marks.refresh()


def rebuild() -> None:
    """Forget all viewings and make them anew from the records that there are."""
    ViewingCursor.objects.get_or_create(pk=MANAGEMENT)
    with transaction.atomic():
        lock()
        ViewingMark.objects.all().delete()
        Viewing.objects.all().delete()
        Review.objects.all().delete()
        ViewingCursor.objects.exclude(pk=MANAGEMENT).delete()
        ViewingCursor.objects.update(sequence=0)
    refresh()


def lock() -> None:
    """Until the transaction ends, nobody else changes viewings from the audit."""
    ViewingCursor.objects.select_for_update().get(pk=MANAGEMENT)


def _unread() -> list[tuple[str, int]]:
    """Return the chains that have records which were not read yet, with the sequence of their heads."""
    read = dict(ViewingCursor.objects.values_list("chain", "sequence"))
    heads = AuditChain.objects.order_by("opened_at", "name").values_list("name", "sequence")
    return [(chain, head) for chain, head in heads if head > read.get(chain, 0)]


@transaction.atomic
def _take_batch(chain: str, head: int) -> bool:
    """Take in the next records of `chain` up to `head`; False when there were none."""
    lock()
    cursor, _ = ViewingCursor.objects.get_or_create(pk=chain)
    records = AuditRecord.objects.filter(chain_id=chain, sequence__gt=cursor.sequence, sequence__lte=head)
    batch = list(records.order_by("sequence").only("sequence", "at", *_FIELDS)[:_BATCH])
    if not batch:
        return False
    reviews.copy([record for record in batch if record.action in Review.Verdict.values])
    _count([_request(record) for record in batch if record.action.startswith("payload:")])
    cursor.sequence = batch[-1].sequence
    cursor.save()
    return True


_FIELDS = tuple(name for name in Request._fields if name != "at")


def _request(record: AuditRecord) -> Request:
    return Request(*(getattr(record, name) for name in Request._fields))


def _count(requests: list[Request]) -> None:
    if requests:
        _store(group(requests, _stored_near(requests)))


def _stored_near(requests: list[Request]) -> list[Tally]:
    """Return the stored viewings that one of `requests` could belong to."""
    times = [request.at for request in requests]
    near = Viewing.objects.select_for_update().filter(
        actor_id__in={request.trail.actor_id for request in requests},
        started_at__gt=min(times) - LONGEST - GAP,
        started_at__lt=max(times) + GAP,
    )
    return [_tally(viewing) for viewing in near]


def _tally(viewing: Viewing) -> Tally:
    tally = Tally(
        trail=Trail(viewing.actor_kind, viewing.actor_id, viewing.namespace, viewing.credential),
        rows=[viewing.pk],
        **{name: getattr(viewing, name) for name in _COUNTED},
    )
    for name in ("keys", "addresses", "reasons", "not_enabled"):
        setattr(tally, name, Counter(getattr(viewing, name)))
    return tally


def _store(tallies: Iterable[Tally]) -> None:
    """Write the viewings that have changed; of several that have become one, the first row stays."""
    absorbed = [row for tally in tallies for row in tally.rows[1:]]
    ViewingMark.objects.filter(viewing__in=absorbed).delete()
    Viewing.objects.filter(pk__in=absorbed).delete()
    viewings = [_viewing(tally) for tally in tallies]
    reviews.apply(viewings)
    Viewing.objects.bulk_create([viewing for viewing in viewings if viewing.pk is None])
    Viewing.objects.bulk_create(
        [viewing for viewing in viewings if viewing.pk is not None],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=_CHANGING,
    )


def _viewing(tally: Tally) -> Viewing:
    fields = asdict(tally)
    return Viewing(
        pk=tally.rows[0] if tally.rows else None,
        **tally.trail._asdict(),
        **{name: fields[name] for name in _COUNTED},
    )
