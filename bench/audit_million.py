"""Fill an installation with a million audit records, and measure what auditors and operators do with them.

python -m bench.audit_million FOLDER [--postgresql] fill [--records 1000000]
python -m bench.audit_million FOLDER [--postgresql] pages [--runs 5] [--output FILE.json] [--plans FILE.md]
python -m bench.audit_million FOLDER [--postgresql] archive [--output FILE.json] [--plans FILE.md]

`fill` makes the installation in FOLDER, where it stays. `pages` measures the auditor's pages (bench/audit_pages.py),
`archive` what is done with all of the records (bench/audit_archive.py); at its end it drops most of them.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.installation import installation


def main() -> None:
    options = _options()
    with installation(options.folder, postgresql=options.postgresql):
        {"fill": _fill, "pages": _pages, "archive": _archive}[options.what](options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--postgresql", action="store_true")
    parts = parser.add_subparsers(dest="what", required=True)
    parts.add_parser("fill").add_argument("--records", type=int, default=1_000_000)
    for name in ("pages", "archive"):
        part = parts.add_parser(name)
        part.add_argument("--output", type=Path)
        part.add_argument("--plans", type=Path)
    parts.choices["pages"].add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def _fill(options: argparse.Namespace) -> None:
    from bench.audit_fill import fill

    start = time.perf_counter()
    fill(options.records, tell=lambda done: print(f"\r{done} records", end="", file=sys.stderr, flush=True))
    print(f"\nfilled in {time.perf_counter() - start:.0f} s")


def _pages(options: argparse.Namespace) -> None:
    from bench.audit_pages import explain, run

    measured = list(_told(run(options.runs)))
    _write(options.output, {one.name: [round(seconds, 4) for seconds in one.seconds] for one in measured})
    if options.plans:
        options.plans.write_text("".join(explain(measured)))


def _archive(options: argparse.Namespace) -> None:
    from bench.audit_archive import plan_of_search, run

    costs = []
    for cost in _told(run(options.folder)):
        costs.append(cost)
        if options.plans and cost.name == "search for 1,000 payloads":
            options.plans.write_text(plan_of_search())
    _write(options.output, {cost.name: cost.as_dict() for cost in costs})


def _told(figures: Iterable[Any]) -> Iterable[Any]:
    for one in figures:
        print(one, flush=True)
        yield one


def _write(file: Path | None, figures: dict[str, Any]) -> None:
    if file is not None:
        file.write_text(json.dumps(_circumstances() | figures, indent=1) + "\n")


def _circumstances() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import django
    from django.db import connection
    from django.utils import timezone

    from keys.models import AuditRecord

    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = cursor.fetchone()[0]
    return {
        "date": f"{timezone.now():%Y-%m-%d}",
        "database": f"{connection.vendor} {version}",
        "python": platform.python_version(),
        "django": django.get_version(),
        "records at the end": AuditRecord.objects.count(),
    }


if __name__ == "__main__":
    main()
