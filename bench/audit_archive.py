"""What is done with all of the audit: the search for who has seen a payload, with its index and without;
verification; export; and the retirement of the oldest month, then of all that may go.
"""

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from keys import audit_export, fingerprint_index, retirement
from keys.actor import operator
from keys.audit_export import Selection
from keys.audit_formats import Format
from keys.fingerprints import unpack
from keys.models import AuditRecord, FingerprintEntry
from keys.verification import Finding, verify


@dataclass(slots=True)
class Cost:
    """`cpu` is that of this process alone: PostgreSQL's is not in it."""

    name: str
    seconds: float | None
    cpu: float | None
    peak_mib: float | None
    result: str

    def __str__(self) -> str:
        if self.peak_mib is not None:
            return f"{self.name:45} {self.peak_mib:9.1f} MiB at most"
        return f"{self.name:45} {self.seconds:9.2f} s  {self.cpu:9.2f} s CPU  {self.result}"

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "name" and value is not None}


def cost(name: str, act: Callable[[], Any]) -> Cost:
    start, cpu = time.perf_counter(), time.process_time()
    result = act()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Cost(name, round(seconds, 3), round(cpu, 3), None, str(result))


def with_memory(name: str, act: Callable[[], Any]) -> Cost:
    """Measure the peak of Python's memory. The time says nothing then: tracing takes most of it."""
    tracemalloc.start()
    result = act()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return Cost(name, None, None, round(peak, 1), str(result))


def sought(number: int) -> set[bytes]:
    """Return fingerprints that records hold, from all over the audit."""
    last = AuditRecord.objects.order_by("-pk").values_list("pk", flat=True)[0]
    chance, found = random.Random(3), set[bytes]()
    while len(found) < number:
        record = AuditRecord.objects.filter(pk=chance.randint(1, last)).first()
        if record and record.fingerprints:
            found.add(unpack(bytes(record.fingerprints))[0])
    return found


def search(number: int) -> Callable[[], str]:
    wanted = sought(number)
    return lambda: f"{len(list(fingerprint_index.find(wanted)))} records"


def verified() -> str:
    findings = [result for result in verify() if isinstance(result, Finding)]
    return f"{len(findings)} findings"


def exported(format: str, directory: Path) -> Callable[[], str]:
    now = datetime.now(UTC)
    everything = Selection(now - timedelta(days=1000), now + timedelta(days=1))

    def export() -> str:
        done = audit_export.export(everything, Format(format), directory / format, actor=operator())
        return f"{done.records} records, {done.size / 2**20:.0f} MiB"

    return export


def retired(days: int, directory: Path) -> Callable[[], str]:
    def retire() -> str:
        settings.CODEC_AUDIT_RETENTION_DAYS = days
        locked: list[float] = []
        drop = retirement._drop
        retirement._drop = lambda *args, **named: locked.append(timed(lambda: drop(*args, **named)))
        done = retirement.retire(retirement.latest_end(), directory / f"retired-{days}", actor=operator())
        retirement._drop = drop
        return f"{done.records} records, of which {locked[0]:.2f} s in the transaction that drops them"

    return retire


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def plan_of_search() -> str:
    """Return the plan of the search in the index, as Markdown."""
    wanted = list(sought(3))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    options = {"analyze": True} if connection.vendor == "postgresql" else {}
    return f"```\n{FingerprintEntry.objects.filter(fingerprint__in=wanted).explain(**options)}\n```\n"


def run(directory: Path) -> Iterator[Cost]:
    yield cost("search for 1 payload, nothing indexed", search(1))
    yield cost("rebuild the index", fingerprint_index.refresh)
    yield cost("entries of the index", FingerprintEntry.objects.count)
    yield cost("refresh, nothing new", fingerprint_index.refresh)
    yield cost("search for 1 payload", search(1))
    yield cost("search for 1,000 payloads", search(1000))
    yield cost("verify_audit", verified)
    yield with_memory("verify_audit", verified)
    yield cost("export, JSON Lines", exported("jsonl", directory))
    yield cost("export, CSV", exported("csv", directory))
    yield with_memory("export, OCSF", exported("ocsf", directory))
    yield cost("retire the oldest month", retired(335, directory))
    yield cost("retire all but 100 days", retired(100, directory))
    yield cost("verify_audit, what is left", verified)
