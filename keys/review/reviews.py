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
from keys.errors import KeysError
from keys.models import AuditRecord
from keys.review.grouping import GAP
from keys.review.models import Review, Viewing

Verdict = Review.Verdict
Status = Viewing.Status
MAX_NOTE = 500

_STATUS = {Verdict.REVIEWED: Status.REVIEWED, Verdict.FOLLOW_UP: Status.FOLLOW_UP}

# Whose acts count as a person's own beside their own: asks with their id. The door knows about services, and adds to it.
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
    if not viewings:
        return "Choose at least one viewing."
    if not actor.id:
        return "Sign in to review."
    if any(viewing.actor_id in own for viewing in viewings):
        return "Nobody reviews their own viewings. Leave yours to another auditor."
    if any(not is_over(viewing, timezone.now()) for viewing in viewings):
        return "One of these viewings is still going on. Review it when it has paused for 30 minutes."
    if verdict is Verdict.REVIEWED and any(viewing.status == Status.REVIEWED for viewing in viewings):
        return "One of these viewings has been reviewed in the meantime. Look at the list again."
    if verdict is Verdict.FOLLOW_UP and not note.strip():
        return "Say what has to be followed up."
    return f"Say it in at most {MAX_NOTE} characters." if len(note.strip()) > MAX_NOTE else None


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
    _copy(line, viewing)


def copy(records: Iterable[AuditRecord]) -> None:
    """Copy these audit records of reviews that the table lacks: after a rebuild, or a restored database."""
    known = set(Review.objects.values_list("event_id", flat=True))
