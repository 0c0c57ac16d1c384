"""Fill a fresh database with a million audit records and measure the auditor's pages on it.

python -m bench.audit_million [--records 1000000] [--postgresql] [--runs 5] [--output FILE.json] [--plans FILE.md]

Pages are asked for in this process, by Django's test client, as an auditor; a time is the median of the runs. With
--plans on PostgreSQL, the plan of every SELECT on the audit or the viewings is written down.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


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


@contextmanager
def database(*, postgresql: bool) -> Iterator[None]:
    """Set Django up on a new installation in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name in [name for name in os.environ if name.startswith(("CODEC_", "DATABASE_URL"))]:
            del os.environ[name]
        os.environ |= {"CODEC_VAR": f"{folder}/var", "DJANGO_SETTINGS_MODULE": "codecsite.settings"}
        server = None
        if postgresql:
            from tests import postgresql as server_of_tests

            server = server_of_tests.start(Path(folder) / "postgresql")
            os.environ["DATABASE_URL"] = server.get_uri()
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("setup_roles", stdout=open(os.devnull, "w"))  # noqa: SIM115
        yield
        if server is not None:
            from django.db import connections

            connections.close_all()
            server.cleanup()


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def auditor() -> Any:
    from django.contrib.auth.models import Group
    from django.test import Client

    from codec.models import User

    person = User.objects.create_user("auditor", is_staff=True)
    person.groups.add(Group.objects.get(name="auditor"))
    client = Client()
    client.force_login(person)
    return client


def measure_pages(client: Any, runs: int) -> Iterator[Measured]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

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
    from keys.models import AuditRecord
    from keys.review.models import Viewing

    viewings, records = "/admin/keys/viewing/", "/admin/keys/auditrecord/"
    today = datetime.now(UTC).date()
    year, month = today - timedelta(days=365), today - timedelta(days=29)
    busiest = Viewing.objects.order_by("-requests").values_list("pk", flat=True).first()
    usual = Viewing.objects.filter(denied__gt=0).values_list("pk", flat=True)[0]
    request_id = AuditRecord.objects.filter(action="payload:decoded").values_list("request_id", flat=True)[0]
    return {
        "not reviewed, first page": viewings,
        "not reviewed, page 500": f"{viewings}?page=500",
        "all": f"{viewings}?status=all",
        "one namespace": f"{viewings}?namespace=namespace-01",
        "one person": f"{viewings}?person=person-07",
        "person and namespace": f"{viewings}?person=person-07&namespace=namespace-01",
        "a month": f"{viewings}?since={month}&until={today}",
        "a year": f"{viewings}?since={year}&until={today}",
        "mark: break-glass": f"{viewings}?mark=break_glass",
        "mark: denied, a namespace, a month": f"{viewings}?mark=denied&namespace=namespace-01&since={month}",
        "nothing matches": f"{viewings}?person=nobody",
        "one viewing": f"{viewings}{usual}/change/",
        "the longest viewing": f"{viewings}{busiest}/change/",
        "report of a month": f"{viewings}report/?since={month}&until={today}",
        "report of a year": f"{viewings}report/?since={year}&until={today}",
        "report of a year, CSV": f"{viewings}report.csv?since={year}&until={today}",
        "audit records, first page": records,
        "audit records, denied": f"{records}?outcome__exact=denied",
        "audit records, an action": f"{records}?action__exact=payload:encoded",
        "audit records, search for a person": f"{records}?q=person-07",
        "audit records, search for a request id": f"{records}?q={request_id}",
        "start page": "/admin/",
    }


def measure_summing(runs: int) -> Iterator[Measured]:
    from keys.review import viewings

    yield Measured("rebuild_viewings", [timed(viewings.rebuild)])
    yield Measured("refresh, nothing new", [timed(viewings.refresh) for _ in range(runs)])


def measure_last_minutes() -> Iterator[Measured]:
    import random

    from bench.audit_fill import Sitting
    from keys import audit_chain
    from keys.audit_chain import Head
    from keys.models import AuditChain
    from keys.review import viewings

    chain = AuditChain.objects.order_by("opened_at").last()
    sitting = Sitting("person-07", "namespace-01", datetime.now(UTC), 500, timedelta(milliseconds=300))
    audit_chain.append(Head(chain.pk, chain.sequence, bytes(chain.mac)), list(sitting.lines(random.Random(7))))
    yield Measured("refresh, 500 new records", [timed(viewings.refresh)])


def explain(measured: list[Measured]) -> Iterator[str]:
    """Yield the plans as Markdown."""
    from django.db import connection

    for one in measured:
        wanted = [
            sql for sql in one.queries if sql.startswith("SELECT") and ("keys_viewing" in sql or "keys_audit" in sql)
        ]
        yield f"\n## {one.name}: {one.median * 1000:.0f} ms\n"
        for sql in wanted:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY ON) {sql}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
            yield f"\n```\n{sql[:600]}\n\n{plan}\n```\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plans", type=Path)
    options = parser.parse_args()
    with database(postgresql=options.postgresql):
        measured = []
        for one in run(options):
            measured.append(one)
            print(one, flush=True)
        if options.output:
            figures = {one.name: [round(seconds, 4) for seconds in one.seconds] for one in measured}
            options.output.write_text(json.dumps(figures, indent=1) + "\n")
        if options.plans:
            options.plans.write_text("".join(explain(measured)))


def run(options: argparse.Namespace) -> Iterator[Measured]:
    from django.db import connection

    from bench.audit_fill import fill
    from keys.models import AuditRecord
    from keys.review.models import Viewing

    def tell(done: int) -> None:
        print(f"\r{done} records", end="", file=sys.stderr, flush=True)

    yield Measured("fill", [timed(lambda: fill(options.records, tell=tell))])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield from measure_summing(options.runs)
    print(f"\n{AuditRecord.objects.count()} records, {Viewing.objects.count()} viewings, {connection.vendor}")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield from measure_pages(auditor(), options.runs)
    yield from measure_last_minutes()


if __name__ == "__main__":
    main()
