"""What is unusual about a viewing, with the reason in a sentence.

    break-glass       allowed by a grant that the person took in an emergency
    key not enabled   asked for payloads of a key version that was DISABLED, or beyond
    denied requests   at least one
    unusual volume    at least 100 payloads, and at least 5 times the median of this person's last 20 viewings; of
                      those that gave any payloads, in any namespace, and only when there are 5 or more of them
    first time here   no earlier viewing of this person in this namespace gave any payloads, and this one did

The last two look back, so a viewing that turns up late has this person's later ones judged again.
"""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from django.db.models import F, QuerySet

from keys.portions import portion
from keys.review import positions
from keys.review.models import Viewing, ViewingMark

Kind = ViewingMark.Kind
USUAL_OF = 20
FEWEST_VIEWINGS = 5
FEWEST_PAYLOADS = 100
TIMES = 5
_BATCH = 1000


@dataclass(slots=True)
class History:
    """What is known of a person before a viewing: namespaces they had payloads of, and how many the last times."""

    namespaces: set[str] = field(default_factory=set)
    volumes: deque[int] = field(default_factory=lambda: deque(maxlen=USUAL_OF))

    def usual(self) -> float | None:
        """Return the median of the last volumes, or None while there are too few to say."""
        return median(self.volumes) if len(self.volumes) >= FEWEST_VIEWINGS else None

    def add(self, viewing: Viewing) -> None:
        if payloads := viewing.read + viewing.written:
            self.namespaces.add(viewing.namespace)
            self.volumes.append(payloads)


def refresh(*, until: float = math.inf) -> bool:
    """Judge the viewings that are new or have changed; False when that was not done until time.monotonic()."""
    while (actor_id := _next_person()) is not None:
        if time.monotonic() > until:
            return False
        _judge_some(actor_id)
    return True


def judge(viewing: Viewing, before: History) -> Iterator[tuple[Kind, str]]:
    """Yield the marks of a viewing."""
    payloads, usual = viewing.read + viewing.written, before.usual()
    if viewing.break_glass:
        yield Kind.BREAK_GLASS, f"{_requests(viewing.break_glass)} allowed by access taken in an emergency."
    if viewing.not_enabled:
        names = ", ".join(f"{key} ({number})" for key, number in sorted(viewing.not_enabled.items()))
        yield Kind.KEY_NOT_ENABLED, f"Asked for payloads of key versions that were not ENABLED: {names}."
    if viewing.denied:
        reasons = ", ".join(f"{reason} ({number})" for reason, number in sorted(viewing.reasons.items()))
        yield Kind.DENIED, f"{_requests(viewing.denied)} denied. Reason codes: {reasons}."
    if usual is not None and payloads >= max(FEWEST_PAYLOADS, TIMES * usual):
        median_of = f"The median of this person's last {len(before.volumes)} viewings is {usual:,.0f}."
        yield Kind.UNUSUAL_VOLUME, f"{payloads:,} payloads. {median_of}"
    if payloads and viewing.namespace not in before.namespaces:
        yield Kind.FIRST_TIME, "This person's first payloads of this namespace, as far back as viewings are kept."


def _requests(number: int) -> str:
    return "1 request was" if number == 1 else f"{number} requests were"


def _next_person() -> str | None:
    waiting = Viewing.objects.filter(is_marked=False).order_by("actor_id", "started_at")
    return waiting.values_list("actor_id", flat=True).first()


@portion()
def _judge_some(actor_id: str) -> None:
    """Judge a person's viewings from the first one that waits on, as many as fit in a transaction."""
    positions.lock()
    of_person = Viewing.objects.filter(actor_id=actor_id)
    first = of_person.filter(is_marked=False).order_by("started_at").first()
    if first is None:
        return
    of_person.filter(is_marked=True, started_at__gte=first.started_at).update(is_marked=False)
    batch = list(of_person.filter(started_at__gte=first.started_at).order_by("started_at", "first_event_id")[:_BATCH])
    before = _history(of_person, first.started_at)
    found: list[ViewingMark] = []
    for viewing in batch:
        found += [
            ViewingMark(viewing=viewing, kind=kind, reason=reason[:300]) for kind, reason in judge(viewing, before)
        ]
        before.add(viewing)
    ViewingMark.objects.filter(viewing__in=batch).delete()
    ViewingMark.objects.bulk_create(found)
    of_person.filter(pk__in=[viewing.pk for viewing in batch]).update(is_marked=True)


def _marks(viewing: Viewing, before: History) -> list[ViewingMark]:
    return [ViewingMark(viewing=viewing, kind=kind, reason=reason[:300]) for kind, reason in judge(viewing, before)]


def _history(of_person: QuerySet[Viewing], before: datetime) -> History:
    gave = of_person.annotate(payloads=F("read") + F("written")).filter(started_at__lt=before, payloads__gt=0)
    last = gave.order_by("-started_at", "-first_event_id").values_list("payloads", flat=True)[:USUAL_OF]
    namespaces = gave.order_by().values_list("namespace", flat=True).distinct()
    return History(set(namespaces), deque(reversed(last), maxlen=USUAL_OF))
