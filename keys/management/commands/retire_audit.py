from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from keys import retirement
from keys.actor import operator
from keys.command import VaultCommand
from keys.moments import moment


class Command(VaultCommand):
    help = (
        "Export the oldest audit records with a signed manifest, then drop them from the database. "
        "May be broken off: nothing is dropped before it is on disk. On PostgreSQL it needs the tables' owner."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--before", type=moment, help="a day or time in UTC (default: CODEC_AUDIT_RETENTION_DAYS ago)"
        )
        parser.add_argument("--output", type=Path, required=True, help="a directory; it is made if it is not there")

    def run(self, *, before: datetime | None, output: Path, **options: Any) -> None:
        before = before or retirement.latest_end()
        done = retirement.retire(before, output, actor=operator())
        if not done.records:
            self.stdout.write(f"There are no records from before {before:%Y-%m-%d %H:%M} UTC.")
            return
        self.stdout.write(f"Wrote {done.records} records of {done.chains} chains to {output} and dropped them.")
        self.stdout.write("Keep that directory: it is the only copy now.")
