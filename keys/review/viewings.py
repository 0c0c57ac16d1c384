"""Keeps the table of viewings, and the copy of the reviews, up to the audit.

Everything here can be made anew from the audit, by `rebuild`; then it says what the records that are left say.
"""

import math
import time
from collections import Counter
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from keys.portions import portion
from keys.review import hours, marks, positions, reviews
from keys.review.grouping import GAP, LONGEST, Request, Tally, Trail, group
from keys.review.models import HourOfPerson, Review, Viewing, ViewingMark

_COUNTERS = ("keys", "addresses", "reasons", "not_enabled")
_NUMBERS = ("requests", "read", "written", "bytes", "denied", "failed", "break_glass")
_COUNTED = ("first_event_id", "actor_name", "started_at", "ended_at", *_NUMBERS, *_COUNTERS)
_REVIEWS = frozenset(Review.Verdict.values)
_CHANGING = (*_COUNTED, "status", "review", "reviewed_at", "is_marked")


def refresh(*, seconds: float = math.inf) -> bool:
    """Bring viewings, reviews and marks up to the audit. Safe to run in several processes.

    After `seconds` it stops, with a rest that the next time takes; then it returns False.
    """
    positions.ensure_lock()
    end = time.monotonic() + seconds
    for heads in positions.portions(positions.unread()):
        if time.monotonic() > end:
            return False
        _take(heads)
    return marks.refresh(until=end)


def rebuild() -> None:
    """Forget all viewings and make them anew from the records that there are."""
    positions.ensure_lock()
    with transaction.atomic():
        positions.lock()
        ViewingMark.objects.all().delete()
        Viewing.objects.all().delete()
        Review.objects.all().delete()
        HourOfPerson.objects.all().delete()
        positions.forget()
    refresh()


@transaction.atomic
def drop_before(moment: datetime) -> None:
    """Delete what is of viewings that ended before: retention has dropped their records."""
    positions.lock()
    gone = Viewing.objects.filter(ended_at__lt=moment)
    ViewingMark.objects.filter(viewing__in=gone).delete()
    gone.delete()
    kept = Viewing.objects.filter(first_event_id=OuterRef("viewing_event_id"))
    Review.objects.filter(~Exists(kept), at__lt=moment).delete()


@portion()
def _take(heads: dict[str, int]) -> None:
    """Take in the next records of these chains."""
    positions.lock()
    records = positions.read_on(heads)
    reviews.copy([record for record in records if record.action in _REVIEWS])
    requests = [record for record in records if record.action.startswith("payload:")]
    hours.count(requests)
    _count(requests)


def _count(requests: list[Request]) -> None:
    if not requests:
        return
    tallies = group(requests, _stored_near(requests))
    _drop([row for tally in tallies for row in tally.rows[1:]])
    viewings = [_viewing(tally) for tally in tallies]
    reviews.apply(viewings)
    Viewing.objects.bulk_create([viewing for viewing in viewings if viewing.pk is None])
    changed = [viewing for viewing in viewings if viewing.pk is not None]
    Viewing.objects.bulk_create(changed, update_conflicts=True, unique_fields=["id"], update_fields=_CHANGING)


def _stored_near(requests: list[Request]) -> list[Tally]:
    """Return the stored viewings that one of `requests` could belong to."""
    times = [request.at for request in requests]
    near = Viewing.objects.select_for_update().filter(
        actor_id__in={request.trail.actor_id for request in requests},
        started_at__gt=min(times) - LONGEST,
        started_at__lt=max(times) + GAP,
    )
    return [_tally(viewing) for viewing in near]


def _tally(viewing: Viewing) -> Tally:
    trail = Trail(viewing.actor_kind, viewing.actor_id, viewing.namespace, viewing.credential)
    counted = {name: getattr(viewing, name) for name in _COUNTED}
    counters = {name: Counter(counted[name]) for name in _COUNTERS}
    return Tally(trail=trail, rows=[viewing.pk], **counted | counters)


def _viewing(tally: Tally) -> Viewing:
    row = tally.rows[0] if tally.rows else None
    return Viewing(pk=row, **tally.trail._asdict(), **{name: getattr(tally, name) for name in _COUNTED})


def _drop(rows: list[int]) -> None:
    """Delete viewings that have become part of others."""
    ViewingMark.objects.filter(viewing__in=rows).delete()
    Viewing.objects.filter(pk__in=rows).delete()
