from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from keys import audit_export
from keys.actor import operator
from keys.audit_export import Selection
from keys.audit_formats import Format
from keys.command import VaultCommand
from keys.moments import moment


class Command(VaultCommand):
    help = "Write audit records to a file, with a signed manifest that others can verify. Is itself recorded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", type=moment, required=True, dest="since", help="a day or time, in UTC")
        parser.add_argument("--to", type=moment, required=True, dest="until", help="likewise; up to, and not including")
        parser.add_argument("--namespace", action="append", default=[], help="only this one; may be repeated")
        parser.add_argument("--actor", action="append", default=[], help="only of this person; may be repeated")
        parser.add_argument("--format", choices=list(Format), default=Format.JSONL)
        parser.add_argument("--output", type=Path, required=True, help="a directory; it is made if it is not there")

    def run(self, *, since: datetime, until: datetime, output: Path, **options: Any) -> None:
        if since >= until:
            raise CommandError("--from must be earlier than --to.")
        selection = Selection(since, until, tuple(options["namespace"]), tuple(options["actor"]))
        done = audit_export.export(selection, Format(options["format"]), output, actor=operator())
        self.stdout.write(f"Wrote {done.records} records to {output / done.format.file_name}.")
        self.stdout.write(f"SHA-256 {done.sha256}, signed in {output / audit_export.MANIFEST}.")
