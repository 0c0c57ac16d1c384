"""A logbook as a busy year would leave it: chained, with people who read at work and services that never sleep."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from keys import audit_chain
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction, Outcome, compose
from keys.audit_canonical import canonical
from keys.audit_chain import Head
from keys.audit_line import INSERT, AuditLine
from keys.group_commit import open_chain
from keys.models import AuditChain

PEOPLE = [f"person-{number:02}" for number in range(60)]
SERVICES = [f"service-{number}" for number in range(3)]
NAMESPACES = [f"namespace-{number:02}" for number in range(15)]
PROCESSES = 3  # that serve at a time; all are restarted every 30 days
DAYS = 365
_FIRST_ID = 1000


@dataclass(frozen=True, slots=True)
class Sitting:
    """Somebody works with payloads of one namespace for a while."""

    who: str
    namespace: str
    start: datetime
    requests: int
    pause: timedelta
    outcome: Outcome = Outcome.ALLOWED
    reason: str = ""

    def lines(self, chance: random.Random) -> Iterator[AuditLine]:
        credential = f"session {chance.getrandbits(48):012x}"
        place = (PEOPLE + SERVICES).index(self.who)
        actor = Actor(
            kind=ActorKind.USER,
            id=str(_FIRST_ID + place),
            name=self.who,
            credential=credential,
            address=f"10.2.{place}.{chance.randint(1, 3)}",
            web_origin="https://temporal.example.com",
            user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        )
        for number in range(self.requests):
            line = compose(
                AuditAction.PAYLOAD_DECODED if chance.random() < 0.97 else AuditAction.PAYLOAD_ENCODED,
                actor=actor,
                outcome=self.outcome,
                reason=self.reason,
                namespace=self.namespace,
                details=self._details(chance),
            )
            line.at = self.start + self.pause * number
            line.request_id = f"{chance.getrandbits(128):032x}"
            line.fingerprints = os.urandom(16 * line.details.get("payloads", 0))
            yield line

    def _details(self, chance: random.Random) -> dict[str, Any]:
        if self.outcome is not Outcome.ALLOWED:
            return {}
        payloads = chance.randint(1, 4)
        return {"payloads": payloads, "bytes": payloads * 700, "keys": {f"{chance.randint(1, 3)}-a7k2m9qx": payloads}}


def fill(records: int, *, tell: Callable[[int], None] = lambda done: None, seed: int = 1) -> None:
    """Write about so many records to new codec chains, in the order of time."""
    chance, done = random.Random(seed), 0
    heads: list[Head] = []
    for day, lines in enumerate(_days(records, chance)):
        if day % 30 == 0:
            heads = [_open(f"codec-{day // 30}-{process}") for process in range(PROCESSES)]
        for place, head in enumerate(heads):
            _chain(head, lines[place::PROCESSES])
        with transaction.atomic():
            _write(lines)
            for head in heads:
                AuditChain.objects.filter(pk=head.chain).update(sequence=head.sequence, mac=head.mac)
        done += len(lines)
        tell(done)


def _open(chain: str) -> Head:
    open_chain(chain)
    return Head(chain, 0, audit_chain.genesis(chain))


def _chain(head: Head, lines: list[AuditLine]) -> None:
    for line in lines:
        line.chain_id, line.sequence = head.chain, head.sequence + 1
        line.mac = audit_chain.mac(canonical(line), head.mac)
        head.sequence, head.mac = line.sequence, line.mac


def _write(lines: list[AuditLine]) -> None:
    """Write lines that are chained already, on PostgreSQL by COPY."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.executemany(INSERT, [line.row() for line in lines])
            return
        columns = INSERT[INSERT.index("(") : INSERT.index(")") + 1]
        with cursor.copy(f"COPY keys_auditrecord {columns} FROM STDIN") as copy:  # type: ignore[attr-defined]
            for line in lines:
                copy.write_row(line.row())


def _days(records: int, chance: random.Random) -> Iterator[list[AuditLine]]:
    """Yield the lines of one day after the other, in the order of time."""
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    for day in range(DAYS):
        of_day: list[AuditLine] = []
        for sitting in _sittings(first + timedelta(days=day), records // DAYS, chance):
            of_day += sitting.lines(chance)
        yield sorted(of_day, key=lambda line: line.at)


def _sittings(midnight: datetime, records: int, chance: random.Random) -> Iterator[Sitting]:
    """Yield sittings of one day until there are about `records` requests: a fifth of them by services."""
    left = records
    for service in SERVICES:
        number = records // 15
        yield Sitting(service, chance.choice(NAMESPACES[:3]), midnight, number, timedelta(hours=24) / max(number, 1))
        left -= number
    while left > 0:
        start = midnight + timedelta(minutes=chance.gauss(12 * 60, 150))
        namespace = NAMESPACES[min(int(chance.expovariate(0.3)), len(NAMESPACES) - 1)]
        who = PEOPLE[min(int(chance.expovariate(0.08)), len(PEOPLE) - 1)]
        sitting = _one(who, namespace, start, chance)
        left -= sitting.requests
        yield sitting


def _one(who: str, namespace: str, start: datetime, chance: random.Random) -> Sitting:
    number, pause = int(chance.lognormvariate(2.6, 0.9)) + 1, timedelta(seconds=chance.uniform(0.2, 40))
    luck = chance.random()
    if luck < 0.03:
        return Sitting(who, namespace, start, min(number, 20), pause, Outcome.DENIED, "no_grant")
    if luck < 0.035:
        return Sitting(who, namespace, start, number, pause, reason="break_glass")
    return Sitting(who, namespace, start, number, pause)
