"""What each person did in the current hour and the one before, for alerts (codec/alerts.py).

Counted while the viewings are brought up to the audit, so every record counts once. Hours are those of the clock, UTC.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from keys.audit import Outcome
from keys.review.grouping import BREAK_GLASS, Request
from keys.review.models import HourOfPerson

_HOUR = timedelta(hours=1)


def count(requests: Iterable[Request]) -> None:
    """Add codec requests to their hours, and forget the hours that are over. Call it under the lock of the viewings."""
    oldest = _hour(timezone.now()) - _HOUR
    HourOfPerson.objects.filter(hour__lt=oldest).delete()
    sums: dict[tuple[str, str, str, datetime], Counter[str]] = defaultdict(Counter)
    for request in requests:
        if request.at >= oldest:
            trail = request.trail
            sums[trail.actor_kind, trail.actor_id, request.actor_name, _hour(request.at)].update(_counts(request))
    for (kind, id_, name, hour), counts in sums.items():
        row, _ = HourOfPerson.objects.get_or_create(
            actor_kind=kind, actor_id=id_, hour=hour, defaults={"actor_name": name}
        )
        HourOfPerson.objects.filter(pk=row.pk).update(**{column: F(column) + n for column, n in counts.items()})


def _counts(request: Request) -> dict[str, int]:
    if request.outcome == Outcome.DENIED:
        return {"denied": 1}
    if request.outcome != Outcome.ALLOWED:
        return {}
    return {"payloads": request.details.get("payloads", 0), "break_glass": int(request.reason == BREAK_GLASS)}


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
