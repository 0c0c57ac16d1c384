"""The only writer of reviews: what an auditor says of viewings.

A review is an audit record in the management chain, so it cannot be changed or taken back; saying something new adds
another. The table Review is a copy of those records, for the pages. Nobody reviews what they did themselves.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.audit_line import AuditLine
from keys.errors import KeysError
from keys.review.grouping import GAP, Request
from keys.review.models import Review, Viewing

Verdict = Review.Verdict
Status = Viewing.Status
MAX_NOTE = 500

_STATUS = {Verdict.REVIEWED: Status.REVIEWED, Verdict.FOLLOW_UP: Status.FOLLOW_UP}

# Asked with a person's id: whose acts count as theirs as well? The door, which knows about services, adds to it.
stand_ins: list[Callable[[str], set[str]]] = []


class ReviewRefused(KeysError):
    """The viewings cannot be reviewed so; the message says why and may be shown."""


def own_ids(actor_id: str) -> set[str]:
    """Return the actor ids whose viewings count as this person's own."""
    return {actor_id}.union(*(ask(actor_id) for ask in stand_ins))


def is_over(viewing: Viewing, now: datetime) -> bool:
    """True once no request can be added to it in the ordinary course of things."""
    return now - viewing.ended_at >= GAP


@transaction.atomic
def review(viewings: Collection[int], verdict: Verdict, *, note: str, actor: Actor) -> int:
    """Say `verdict` of the viewings with these ids: of all, or of none. Returns how many. Raises ReviewRefused."""
    rows = list(Viewing.objects.select_for_update().filter(pk__in=viewings).order_by("pk"))
    if why_not := _refusal(rows, verdict, note=note, actor=actor):
        raise ReviewRefused(why_not)
    if len(rows) != len(set(viewings)):
        raise ReviewRefused("One of these viewings is not there any more. Look at the list again.")
    for viewing in rows:
        _write(viewing, verdict, note=note.strip(), actor=actor)
    return len(rows)


def _refusal(viewings: list[Viewing], verdict: Verdict, *, note: str, actor: Actor) -> str | None:
    """Return why not, or None."""
    own = own_ids(actor.id)
    refusals = {
        "Choose at least one viewing.": not viewings,
        "Sign in to review.": not actor.id,
        "Nobody reviews their own viewings. Leave yours to another auditor.": any(
            viewing.actor_id in own for viewing in viewings
        ),
        "One of these viewings is still going on. Review it when it has paused for 30 minutes.": any(
            not is_over(viewing, timezone.now()) for viewing in viewings
        ),
        "One of these viewings has been reviewed in the meantime. Look at the list again.": verdict is Verdict.REVIEWED
        and any(viewing.status == Status.REVIEWED for viewing in viewings),
        "Say what has to be followed up.": verdict is Verdict.FOLLOW_UP and not note.strip(),
        f"Say it in at most {MAX_NOTE} characters.": len(note.strip()) > MAX_NOTE,
    }
    return next((sentence for sentence, applies in refusals.items() if applies), None)


def _write(viewing: Viewing, verdict: Verdict, *, note: str, actor: Actor) -> None:
    line = audit.record(
        AuditAction(verdict.value),
        actor=actor,
        namespace=viewing.namespace,
        details={
            "viewing": str(viewing.first_event_id),
            "of": viewing.actor_name,
            "of_id": viewing.actor_id,
            "from": viewing.started_at.isoformat(),
            "until": viewing.ended_at.isoformat(),
            "requests": viewing.requests,
            "payloads": viewing.read + viewing.written,
            "note": note,
        },
    )
    copy([line])


def copy(lines: Collection[Request | AuditLine]) -> None:
    """Copy audit records of reviews to the table, in the order of their chain. What is there already stays."""
    if not lines:
        return
    by_event = {line.event_id: line for line in lines}
    known = set(Review.objects.filter(event_id__in=by_event).values_list("event_id", flat=True))
    new = [_copy_of(line) for event_id, line in by_event.items() if event_id not in known]
    Review.objects.bulk_create(new)
    reviewed = list(Viewing.objects.filter(first_event_id__in={review.viewing_event_id for review in new}))
    apply(reviewed)
    for viewing in reviewed:
        viewing.save(update_fields=["status", "review", "reviewed_at"])


def apply(viewings: Iterable[Viewing]) -> None:
    """Set on each viewing, unsaved, what the reviews say of it as it is now."""
    by_event = {viewing.first_event_id: viewing for viewing in viewings}
    reviews_of: dict[UUID, list[Review]] = defaultdict(list)
    for review in Review.objects.filter(viewing_event_id__in=by_event).order_by("pk"):
        if review.requests == by_event[review.viewing_event_id].requests:
            reviews_of[review.viewing_event_id].append(review)
    for event_id, viewing in by_event.items():
        covering = reviews_of[event_id]
        viewing.review = covering[-1] if covering else None
        viewing.reviewed_at = covering[0].at if covering else None
        viewing.status = _STATUS[Verdict(covering[-1].verdict)] if covering else Status.OPEN


def _copy_of(line: Request | AuditLine) -> Review:
    return Review(
        event_id=line.event_id,
        viewing_event_id=UUID(line.details["viewing"]),
        requests=line.details["requests"],
        verdict=line.action,
        note=line.details["note"],
        reviewer_id=line.actor_id,
        reviewer_name=line.actor_name,
        at=line.at,
    )
