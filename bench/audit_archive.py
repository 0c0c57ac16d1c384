"""Fill a fresh database with a million audit records and measure what is done with the whole of them.

python -m bench.audit_archive [--records 1000000] [--postgresql] [--output FILE.json] [--plans FILE.md]

The search for who has seen a payload, with its index and without; verification; export; and the retirement of the
oldest month, then of all that may go, with the peak of the memory that Python takes for each.
"""

import argparse
import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.audit_million import database


@dataclass(slots=True)
class Cost:
    name: str
    seconds: float
    peak_mib: float
    result: str


def cost(name: str, act: Callable[[], Any]) -> Cost:
    """Time `act` once, and once more for its memory where it can be repeated: tracing makes it slower."""
    start = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - start
    print(f"{name:45} {seconds:9.2f} s  {result}", flush=True)
    return Cost(name, seconds, 0.0, str(result))


def with_memory(name: str, act: Callable[[], Any]) -> Cost:
    tracemalloc.start()
    start = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(f"{name:45} {peak:9.1f} MiB  ({seconds:.0f} s while traced)", flush=True)
    return Cost(name, seconds, peak, str(result))


def sought(number: int) -> set[bytes]:
    """Return fingerprints that records hold, from all over the audit."""
    from keys.fingerprints import unpack
    from keys.models import AuditRecord

    last = AuditRecord.objects.order_by("-pk").values_list("pk", flat=True)[0]
    chance, found = random.Random(3), set[bytes]()
    while len(found) < number:
        record = AuditRecord.objects.filter(pk=chance.randint(1, last)).first()
        if record and record.fingerprints:
            found.add(unpack(bytes(record.fingerprints))[0])
    return found


def search(number: int) -> Callable[[], str]:
    from keys import fingerprint_index

    wanted = sought(number)
    return lambda: f"{len(list(fingerprint_index.find(wanted)))} records"


def verified() -> str:
    from keys.verification import Finding, verify

    findings = [result for result in verify() if isinstance(result, Finding)]
    return f"{len(findings)} findings"


def exported(format: str, directory: Path) -> Callable[[], str]:
    from keys import audit_export
    from keys.actor import operator
    from keys.audit_export import Selection
    from keys.audit_formats import Format

    now = datetime.now(UTC)
    everything = Selection(now - timedelta(days=1000), now + timedelta(days=1))

    def export() -> str:
        done = audit_export.export(everything, Format(format), directory / format, actor=operator())
        return f"{done.records} records, {done.size / 2**20:.0f} MiB"

    return export


def retired(days: int, directory: Path) -> Callable[[], str]:
    from django.conf import settings

    from keys import retirement
    from keys.actor import operator

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
    from django.db import connection

    from keys.models import FingerprintEntry

    wanted = list(sought(3))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return FingerprintEntry.objects.filter(fingerprint__in=wanted).explain(analyze=True)


def run(records: int, directory: Path) -> Iterator[Cost]:
    from bench.audit_fill import fill
    from keys import fingerprint_index
    from keys.models import FingerprintEntry

    yield cost("fill", lambda: fill(records))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plans", type=Path)
    options = parser.parse_args()
    with database(postgresql=options.postgresql), tempfile.TemporaryDirectory() as folder:
        costs = list(run(options.records, Path(folder)))
        if options.output:
            options.output.write_text(json.dumps([asdict(one) for one in costs], indent=1) + "\n")
        if options.plans and options.postgresql:
            options.plans.write_text(f"```\n{plan_of_search()}\n```\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
