"""How long the auditor's pages take, and which plans the database makes for them.

Pages are asked for in this process, by Django's test client, as an auditor; a time is the median of the runs.
"""

import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench.audit_fill import Sitting
from codec.models import User
from keys import audit_chain
from keys.audit_chain import Head
from keys.models import AuditChain, AuditRecord
from keys.review import viewings
from keys.review.models import Viewing

_TABLES = re.compile("keys_(viewing|audit|review)")
_COLUMNS = re.compile(r"SELECT .{300,}? FROM")


@dataclass(slots=True)
class Measured:
    name: str
    seconds: list[float]
    queries: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        times = f"{self.median * 1000:10,.0f} ms  (quickest {min(self.seconds) * 1000:8,.0f} ms)"
        return f"{self.name:45} {times}  {len(self.queries):3} queries"


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def auditor() -> Any:
    person, _ = User.objects.get_or_create(username="auditor", is_staff=True)
    person.groups.add(Group.objects.get(name="auditor"))
    client = Client()
    client.force_login(person)
    return client


def measure_pages(client: Any, runs: int) -> Iterator[Measured]:
    for name, path in pages().items():

        def ask(path: str = path) -> None:
            answer = client.get(path, HTTP_HOST="localhost")
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            assert answer.status_code == 200, (path, answer.status_code, body[:300])

        seconds = [timed(ask) for _ in range(runs)]
        with CaptureQueriesContext(connection) as captured:
            ask()
        yield Measured(name, seconds, [query["sql"] for query in captured.captured_queries])


def pages() -> dict[str, str]:
    listed, records = "/admin/keys/viewing/", "/admin/keys/auditrecord/"
    today = datetime.now(UTC).date()
    year, month = today - timedelta(days=365), today - timedelta(days=29)
    busiest = Viewing.objects.order_by("-requests").values_list("pk", flat=True).first()
    usual = Viewing.objects.filter(denied__gt=0).values_list("pk", flat=True)[0]
    request_id = AuditRecord.objects.filter(action="payload:decoded").values_list("request_id", flat=True)[0]
    return {
        "not reviewed, first page": listed,
        "not reviewed, page 500": f"{listed}?page=500",
        "all": f"{listed}?status=all",
        "one namespace": f"{listed}?namespace=namespace-01",
        "one person": f"{listed}?person=person-07",
        "person and namespace": f"{listed}?person=person-07&namespace=namespace-01",
        "a month": f"{listed}?since={month}&until={today}",
        "a year": f"{listed}?since={year}&until={today}",
        "mark: break-glass": f"{listed}?mark=break_glass",
        "mark: denied, a namespace, a month": f"{listed}?mark=denied&namespace=namespace-01&since={month}",
        "nothing matches": f"{listed}?person=nobody",
        "one viewing": f"{listed}{usual}/change/",
        "the longest viewing": f"{listed}{busiest}/change/",
        "report of a month": f"{listed}report/?since={month}&until={today}",
        "report of a year": f"{listed}report/?since={year}&until={today}",
        "report of a year, CSV": f"{listed}report.csv?since={year}&until={today}",
        "audit records, first page": records,
        "audit records, denied": f"{records}?outcome__exact=denied",
        "audit records, an action": f"{records}?action__exact=payload:encoded",
        "audit records, search for a person": f"{records}?q=person-07",
        "audit records, search for a request id": f"{records}?q={request_id}",
        "start page": "/admin/",
    }


def measure_summing(runs: int) -> Iterator[Measured]:
    if not Viewing.objects.exists():
        yield Measured("first refresh, of all records", [timed(viewings.refresh)])
    yield Measured("refresh, nothing new", [timed(viewings.refresh) for _ in range(runs)])


def measure_last_minutes() -> Iterator[Measured]:
    chain = AuditChain.objects.order_by("opened_at").last()
    sitting = Sitting("person-07", "namespace-01", datetime.now(UTC), 500, timedelta(milliseconds=300))
    audit_chain.append(Head(chain.pk, chain.sequence, bytes(chain.mac)), list(sitting.lines(random.Random(7))))
    yield Measured("refresh, 500 new records", [timed(viewings.refresh)])


def explain(measured: list[Measured]) -> Iterator[str]:
    """Yield the plans as Markdown, each query under the first page that asks it."""
    seen: set[str] = set()
    for one in measured:
        new = {_shape(sql): sql for sql in one.queries if sql.startswith("SELECT") and _TABLES.search(sql)}
        new = {shape: sql for shape, sql in new.items() if shape not in seen}
        seen |= new.keys()
        if new:
            yield f"\n## {one.name}: {one.median * 1000:.0f} ms\n"
        for sql in new.values():
            yield f"\n```\n{_COLUMNS.sub('SELECT ... FROM', sql)}\n\n{_plan(sql)}\n```\n"


def _shape(sql: str) -> str:
    return re.sub(r"'[^']*'|\d+", "?", sql)


def _plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())


def run(runs: int) -> Iterator[Measured]:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield from measure_summing(runs)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield from measure_pages(auditor(), runs)
    yield from measure_last_minutes()
