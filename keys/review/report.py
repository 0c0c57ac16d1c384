"""Is the audit reviewed? A period in figures: how many viewings, by whom, reviewed by whom, how late, and what is open.

A viewing belongs to the period in which it began. It was late when its first review came more than a week after it
ended; one that waits for longer than that is late already.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median

from django.db.models import Count, QuerySet
from django.utils import timezone

from keys.review.models import Viewing, ViewingMark
from keys.review.selection import in_period
from keys.review.wording import Line, waited
from keys.spreadsheet import csv_lines

LATE = timedelta(days=7)
Status = Viewing.Status
_COLUMNS = (
    *("from (UTC)", "until (UTC)", "person", "person id", "credential", "namespace", "payloads read"),
    *("payloads written", "requests", "denied", "failed", "bytes", "key versions", "addresses", "marks", "status"),
    *("first reviewed (UTC)", "hours until then", "last reviewed by", "last reviewed (UTC)", "note"),
    *("viewing", "record of the review"),
)


@dataclass(slots=True)
class Figures:
    """Sums over viewings: of one person, or of all."""

    viewings: int = 0
    payloads: int = 0
    denied: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    reviewers: Counter[str] = field(default_factory=Counter)
    delays: list[timedelta] = field(default_factory=list)
    late: int = 0
    waiting_since: datetime | None = None

    def add(self, viewing: Viewing, now: datetime) -> None:
        self.viewings += 1
        self.payloads += viewing.read + viewing.written
        self.denied += viewing.denied
        self.by_status[viewing.status] += 1
        if viewing.reviewed_at is not None:
            self.delays.append(viewing.reviewed_at - viewing.ended_at)
        if viewing.review is not None:
            self.reviewers[viewing.review.reviewer_name] += 1
        self.late += (viewing.reviewed_at or now) - viewing.ended_at > LATE
        if viewing.status == Status.OPEN:
            self.waiting_since = min(self.waiting_since or viewing.ended_at, viewing.ended_at)

    @property
    def reviewed(self) -> int:
        return self.by_status[Status.REVIEWED]

    @property
    def follow_up(self) -> int:
        return self.by_status[Status.FOLLOW_UP]

    @property
    def waiting(self) -> int:
        return self.by_status[Status.OPEN]

    @property
    def usual_delay(self) -> str:
        """Return the median in words."""
        return waited(timedelta(seconds=median(delay.total_seconds() for delay in self.delays))) if self.delays else ""

    @property
    def longest_delay(self) -> str:
        return waited(max(self.delays)) if self.delays else ""


@dataclass(frozen=True, slots=True)
class Report:
    since: date
    until: date
    made_at: datetime
    total: Figures
    people: dict[str, Figures]
    reviewers: dict[str, Figures]
    namespaces: int
    marks: list[tuple[str, int]]
    follow_ups: list[Line]


def make_report(since: date, until: date) -> Report:
    """Return the figures of the viewings that began on these days, both included, UTC."""
    now, of_period = timezone.now(), in_period(Viewing.objects.all(), since, until)
    total, people, reviewers = Figures(), dict[str, Figures](), dict[str, Figures]()
    namespaces = set()
    for viewing in _counted(of_period):
        namespaces.add(viewing.namespace)
        total.add(viewing, now)
        people.setdefault(viewing.actor_name, Figures()).add(viewing, now)
        if viewing.review is not None:
            reviewers.setdefault(viewing.review.reviewer_name, Figures()).add(viewing, now)
    return Report(
        since=since,
        until=until,
        made_at=now,
        total=total,
        people=_most_first(people),
        reviewers=_most_first(reviewers),
        namespaces=len(namespaces),
        marks=_marks(of_period),
        follow_ups=_follow_ups(of_period, now),
    )


def report_file(since: date, until: date) -> Iterator[str]:
    """Yield one line of CSV for every viewing of these days, oldest first."""
    viewings = in_period(Viewing.objects.order_by("started_at", "pk"), since, until)
    return csv_lines(_COLUMNS, map(_cells, viewings.select_related("review").prefetch_related("marks").iterator(1000)))


def _counted(viewings: QuerySet[Viewing]) -> Iterator[Viewing]:
    wanted = ("actor_name", "namespace", "ended_at", "read", "written", "denied", "status", "reviewed_at")
    return viewings.select_related("review").only(*wanted, "review__reviewer_name").iterator()


def _most_first(figures: dict[str, Figures]) -> dict[str, Figures]:
    return dict(sorted(figures.items(), key=lambda item: (-item[1].viewings, item[0])))


def _marks(viewings: QuerySet[Viewing]) -> list[tuple[str, int]]:
    numbers = dict(viewings.order_by().values_list("marks__kind").annotate(Count("pk")))
    return [(label, numbers.get(kind, 0)) for kind, label in ViewingMark.Kind.choices]


def _follow_ups(viewings: QuerySet[Viewing], now: datetime) -> list[Line]:
    flagged = viewings.filter(status=Status.FOLLOW_UP).select_related("review").prefetch_related("marks")
    return [Line.of(viewing, own=(), now=now) for viewing in flagged.order_by("started_at", "pk")]


def _cells(viewing: Viewing) -> list[object]:
    review, line = viewing.review, Line.of(viewing, own=(), now=timezone.now())
    return [
        _time(viewing.started_at),
        _time(viewing.ended_at),
        viewing.actor_name,
        viewing.actor_id,
        viewing.credential,
        viewing.namespace,
        *(viewing.read, viewing.written, viewing.requests, viewing.denied, viewing.failed, viewing.bytes),
        "; ".join(f"{key}: {number}" for key, number in sorted(viewing.keys.items())),
        "; ".join(f"{address}: {number}" for address, number in sorted(viewing.addresses.items())),
        " ".join(mark.reason for mark in line.marks),
        viewing.get_status_display(),
        _time(viewing.reviewed_at),
        round((viewing.reviewed_at - viewing.ended_at) / timedelta(hours=1), 1) if viewing.reviewed_at else "",
        review.reviewer_name if review else "",
        _time(review.at) if review else "",
        review.note if review else "",
        str(viewing.first_event_id),
        str(review.event_id) if review else "",
    ]


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""
