"""Refusals before a caller is known, counted: one audit record per reason, address, known credential and minute.

A count is written when its minute is over, or the process ends. Its audit record is
a courtesy to the reviewer, so a failure to write it is logged and changes no answer.
"""

import logging
import threading
import time
from collections import Counter

from django.db import DatabaseError
from django.http import HttpRequest

from codec.request_facts import client_address
from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction, Outcome

logger = logging.getLogger(__name__)

_MAX_COUNTERS = 10_000
_counts: Counter[tuple[int, str, str, str]] = Counter()  # (minute, reason, address, credential)
_lock = threading.Lock()


def count(request: HttpRequest, reason: str, *, credential: str = "") -> None:
    """Count one refusal. `credential` names one that was good once.

    Beyond 10,000 counters address and credential are left out, so that a flood costs no memory.
    """
    key = (_minute(), reason, client_address(request), credential)
    with _lock:
        if key not in _counts and len(_counts) >= _MAX_COUNTERS:
            key = (key[0], reason, "many", "")
        _counts[key] += 1


def flush(*, before: int | None = None) -> None:
    """Write the counts of the minutes before `before` (all by default)."""
    with _lock:
        done = {key: number for key, number in _counts.items() if before is None or key[0] < before}
        for key in done:
            del _counts[key]
    try:
        for (minute, reason, address, credential), number in done.items():
            actor = Actor(kind=ActorKind.ANONYMOUS, address=address, credential=credential)
            _record(minute, reason, actor, number)
    except DatabaseError:
        logger.exception("%d counters of refusals could not be recorded", len(done))


def flush_past_minutes() -> None:
    """Write the counts of the minutes that are over."""
    flush(before=_minute())


def _record(minute: int, reason: str, actor: Actor, number: int) -> None:
    audit.record(
        AuditAction.REQUEST_REFUSED,
        actor=actor,
        outcome=Outcome.DENIED,
        reason=reason,
        details={"count": number, "minute": minute},
    )


def _minute() -> int:
    """Return the minutes since 1970-01-01 00:00 UTC."""
    return int(time.time()) // 60
