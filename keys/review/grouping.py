"""Codec requests put together to viewings, without a database.

The Web UI makes dozens of requests for one page. Requests of the same person, in the same namespace, with the same
credential belong together as long as each follows the one before it by less than 30 minutes. The order in which they
arrive does not matter. What never pauses is cut after 24 hours: otherwise a machine, or somebody who wants to
escape review, would have one viewing that does not end.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from keys.audit import AuditAction, Outcome

GAP = timedelta(minutes=30)
LONGEST = timedelta(hours=24)


class Trail(NamedTuple):
    """Who, where, with what: requests of different trails never share a viewing."""

    actor_kind: str
    actor_id: str
    namespace: str
    credential: str


class Request(NamedTuple):
    """What a viewing needs of one audit record of a codec request."""

    event_id: UUID
    at: datetime
    action: str
    outcome: str
    reason: str
    actor_kind: str
    actor_id: str
    actor_name: str
    credential: str
    namespace: str
    address: str
    details: dict[str, Any]

    @property
    def trail(self) -> Trail:
        who = self.actor_id or f"{self.actor_kind} {self.actor_name}"  # at the command line people have no id
        return Trail(self.actor_kind, who[:64], self.namespace, self.credential)


@dataclass(slots=True, kw_only=True)
class Tally:
    """A viewing in the making. `rows` are the stored viewings that have gone into it."""

    trail: Trail
    first_event_id: UUID
    actor_name: str
    started_at: datetime
    ended_at: datetime
    requests: int = 0
    read: int = 0
    written: int = 0
    bytes: int = 0
    denied: int = 0
    failed: int = 0
    break_glass: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    not_enabled: Counter[str] = field(default_factory=Counter)
    rows: list[int] = field(default_factory=list)
    has_changed: bool = False

    @classmethod
    def of(cls, request: Request) -> "Tally":
        tally = cls(
            trail=request.trail,
            first_event_id=request.event_id,
            actor_name=request.actor_name,
            started_at=request.at,
            ended_at=request.at,
        )
        tally.add(request)
        return tally

    def accepts(self, start: datetime, end: datetime) -> bool:
        """True when requests from `start` to `end` belong to it: no pause between, and not too long together."""
        pauses = start - self.ended_at >= GAP or self.started_at - end >= GAP
        return not pauses and max(end, self.ended_at) - min(start, self.started_at) < LONGEST

    def add(self, request: Request) -> None:
        self._extend(request.at, request.at, request.event_id, request.actor_name)
        self.requests += 1
        self.addresses[request.address] += 1
        if request.outcome == Outcome.ALLOWED:
            self._count_payloads(request)
        else:
            self.denied += request.outcome == Outcome.DENIED
            self.failed += request.outcome == Outcome.FAILED
            self.reasons[request.reason] += 1
            self.not_enabled.update(dict.fromkeys(request.details.get("not_enabled", ()), 1))

    def absorb(self, other: "Tally") -> None:
        """Take over everything of a later one."""
        self._extend(other.started_at, other.ended_at, other.first_event_id, other.actor_name)
        for name in ("requests", "read", "written", "bytes", "denied", "failed", "break_glass"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("keys", "addresses", "reasons", "not_enabled"):
            getattr(self, name).update(getattr(other, name))
        self.rows += other.rows

    def _extend(self, start: datetime, end: datetime, first_event_id: UUID, actor_name: str) -> None:
        self.started_at, self.first_event_id = min((self.started_at, self.first_event_id), (start, first_event_id))
        self.ended_at, self.actor_name = max((self.ended_at, self.actor_name), (end, actor_name))
        self.has_changed = True

    def _count_payloads(self, request: Request) -> None:
        payloads = request.details.get("payloads", 0)
        if request.action == AuditAction.PAYLOAD_ENCODED:
            self.written += payloads
        else:
            self.read += payloads
        self.bytes += request.details.get("bytes", 0)
        self.keys.update(request.details.get("keys", {}))
        self.break_glass += request.reason == BREAK_GLASS


BREAK_GLASS = "break_glass"  # the reason code of a request that was allowed in an emergency


def group(requests: Iterable[Request], stored: Iterable[Tally] = ()) -> list[Tally]:
    """Return the viewings of `requests`, continuing the `stored` ones; those that are as they were are left out."""
    requests_of, tallies_of = defaultdict(list), defaultdict(list)
    for request in requests:
        requests_of[request.trail].append(request)
    for tally in stored:
        tallies_of[tally.trail].append(tally)
    found = [tally for trail, mine in requests_of.items() for tally in _group_one(mine, tallies_of[trail])]
    return [tally for tally in found if tally.has_changed]


def _group_one(requests: list[Request], stored: list[Tally]) -> list[Tally]:
    """Group what is of one trail, in the order of time."""
    waiting, near, done = sorted(stored, key=_start, reverse=True), list[Tally](), list[Tally]()
    for request in sorted(requests, key=lambda request: request.at):
        while waiting and waiting[-1].started_at - request.at < GAP:
            near.append(waiting.pop())
        done += [tally for tally in near if request.at - tally.ended_at >= GAP]
        near = [tally for tally in near if request.at - tally.ended_at < GAP]
        home = next((tally for tally in near if tally.accepts(request.at, request.at)), None)
        if home is not None:
            home.add(request)
        else:
            near.append(Tally.of(request))
    return _join([*done, *near, *waiting])


def _join(tallies: list[Tally]) -> list[Tally]:
    """Join neighbours between which no pause is left."""
    joined: list[Tally] = []
    for tally in sorted(tallies, key=_start):
        if joined and joined[-1].accepts(tally.started_at, tally.ended_at):
            joined[-1].absorb(tally)
        else:
            joined.append(tally)
    return joined


def _start(tally: Tally) -> datetime:
    return tally.started_at
