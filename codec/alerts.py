"""Telling auditors at once when somebody reads far more than people do, is denied over and over, or breaks the glass.

An alert is raised once per person, kind and hour of the clock, and recorded before anybody is told of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import transaction

from codec import notices
from keys import audit
from keys.actor import operator
from keys.audit import AuditAction
from keys.review import viewings
from keys.review.models import HourOfPerson


class Kind(StrEnum):
    """The values are those of columns of HourOfPerson."""

    PAYLOADS = "payloads"
    DENIED = "denied"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person did within an hour so far, and how much of it is too much."""

    kind: Kind
    person: HourOfPerson
    number: int
    threshold: int


def watch() -> None:
    """Bring the viewings up to the audit, and raise the alerts that are due. Safe to run in several processes."""
    viewings.refresh()
    raise_due()


@transaction.atomic
def raise_due() -> None:
    for person in HourOfPerson.objects.select_for_update().order_by("pk"):
        due = list(_due(person))
        for alert in due:
            _raise(alert)
        if due:
            person.alerted += [alert.kind for alert in due]
            person.save(update_fields=["alerted"])


def _due(person: HourOfPerson) -> Iterator[Alert]:
    for kind, threshold in _thresholds().items():
        number = getattr(person, kind)
        if number >= threshold and kind not in person.alerted:
            yield Alert(kind, person, number, threshold)


def _thresholds() -> dict[Kind, int]:
    return {
        Kind.PAYLOADS: settings.CODEC_ALERT_PAYLOADS,
        Kind.DENIED: settings.CODEC_ALERT_DENIED,
        Kind.BREAK_GLASS: 1,
    }


def _raise(alert: Alert) -> None:
    person = alert.person
    details = {
        "kind": alert.kind,
        "user": person.actor_name,
        "user_id": person.actor_id,
        "hour": person.hour.isoformat(timespec="minutes"),
        "number": alert.number,
        "threshold": alert.threshold,
    }
    audit.record(AuditAction.ALERT_RAISED, actor=operator(), details=details)
    transaction.on_commit(lambda: notices.alert_raised(alert))
