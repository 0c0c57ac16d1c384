"""The figures behind the charts: payloads and denied requests by day, per namespace and per person."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from django.db.models import F, QuerySet, Sum
from django.db.models.functions import TruncDate

from keys.review.models import Viewing

MOST_COLUMNS = 60
MOST_ROWS = 5
COLUMN = 8  # width in the drawing, with a gap of 2
HEIGHT = 32
_PAYLOADS, _DENIED = Sum(F("read") + F("written")), Sum("denied")


@dataclass(frozen=True, slots=True)
class Column:
    """Some days: what happened, and where it stands in the drawing."""

    first: date
    last: date
    payloads: int
    denied: int
    x: int
    height: float

    @property
    def y(self) -> float:
        return round(HEIGHT - self.height, 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One namespace or person. Each row is drawn to a scale of its own: the highest column fills it."""

    name: str
    payloads: int
    denied: int
    columns: list[Column]

    @property
    def most(self) -> Column:
        return max(self.columns, key=lambda column: column.payloads)


@dataclass(frozen=True, slots=True)
class Panel:
    """The rows with the most payloads, and how many more there are. `field` is the filter's name of what they show."""

    title: str
    field: str
    rows: list[Row]
    others: int


@dataclass(frozen=True, slots=True)
class Activity:
    since: date
    until: date
    panels: list[Panel]

    @property
    def width(self) -> int:
        return COLUMN * len(list(_spans(self.since, self.until)))

    @property
    def is_empty(self) -> bool:
        return not any(panel.rows for panel in self.panels)


def activity(viewings: QuerySet[Viewing], since: date, until: date) -> Activity:
    """Return the busiest namespaces and people; `viewings` are those of these days."""
    sides = (("Namespaces", "namespace", "namespace"), ("People", "person", "actor_name"))
    return Activity(since, until, [_panel(viewings, since, until, *side) for side in sides])


def _panel(viewings: QuerySet[Viewing], since: date, until: date, title: str, field: str, column: str) -> Panel:
    rows = _rows(viewings, column, since, until)
    number = viewings.order_by().values(column).distinct().count()
    return Panel(title, field, rows, number - len(rows))


def _rows(viewings: QuerySet[Viewing], field: str, since: date, until: date) -> list[Row]:
    sums = viewings.order_by().values_list(field).annotate(payloads=_PAYLOADS, refused=_DENIED)
    most = sums.order_by("-payloads", "-refused", field)[:MOST_ROWS]
    totals = {name: (payloads, denied) for name, payloads, denied in most}
    by_day = viewings.order_by().filter(**{f"{field}__in": totals}).values_list(field, TruncDate("started_at"))
    days: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    for name, day, payloads, denied in by_day.annotate(payloads=_PAYLOADS, refused=_DENIED):
        days[name][day] = (payloads, denied)
    return [Row(name, *totals[name], _columns(days[name], since, until)) for name in totals]


def _columns(days: dict[date, tuple[int, int]], since: date, until: date) -> list[Column]:
    spans = list(_spans(since, until))
    sums = [
        tuple(sum(numbers) for numbers in zip((0, 0), *_within(days, first, last), strict=True))
        for first, last in spans
    ]
    highest = max((payloads for payloads, _ in sums), default=0) or 1
    return [
        Column(*span, payloads, denied, place * COLUMN, _height(payloads, highest))
        for place, (span, (payloads, denied)) in enumerate(zip(spans, sums, strict=True))
    ]


def _within(days: dict[date, tuple[int, int]], first: date, last: date) -> Iterator[tuple[int, int]]:
    return (numbers for day, numbers in days.items() if first <= day <= last)


def _height(payloads: int, highest: int) -> float:
    return max(1.0, round(HEIGHT * payloads / highest, 1)) if payloads else 0.0


def _spans(since: date, until: date) -> Iterator[tuple[date, date]]:
    """Divide the days into columns of equally many; the last one may have fewer."""
    days = (until - since).days + 1
    each = timedelta(days=-(-days // MOST_COLUMNS))
    starts = [since + each * number for number in range(-(-days // each.days))]
    return ((start, following - timedelta(days=1)) for start, following in pairwise([*starts, until + timedelta(1)]))
