import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from keys.actor import operator
from keys.command import VaultCommand
from keys.rewrap import BATCH, Report, rewrap_keys, stored_by_kek
from keys.rotation import find_namespace


class Command(VaultCommand):
    help = "Move the stored data keys under the first KEK of CODEC_KEK. May be stopped and started again at any time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--namespace", help="only the keys of this one")
        parser.add_argument("--batch", type=int, default=BATCH, help=f"keys per transaction (default {BATCH})")
        parser.add_argument("--json", action="store_true", help="write one JSON object at the end, and no progress")

    def run(self, *, namespace: str | None, batch: int, **options: Any) -> None:
        if batch < 1:
            raise CommandError("A batch has at least one key.")
        report = rewrap_keys(
            actor=operator(),
            namespace=find_namespace(namespace) if namespace else None,
            batch=batch,
            tell=(lambda report: None) if options["json"] else self._tell,
        )
        self.stdout.write(_json(report) if options["json"] else _text(report))
        if report.left:
            raise CommandError(f"{report.left} key(s) are not under the KEK {report.target}.")

    def _tell(self, report: Report) -> None:
        self.stdout.write(f"{report.moved} of {report.total} moved, {len(report.failures)} failed")
        self.stdout.flush()


def _json(report: Report) -> str:
    return json.dumps({**asdict(report), "stored_by_kek": stored_by_kek()})


def _text(report: Report) -> str:
    failed = [f"Not moved: {one.namespace} {one.key_id}. {one.reason}" for one in report.failures]
    stored = [f"{count:8} key(s) under {kek_id}" for kek_id, count in stored_by_kek().items()]
    return "\n".join([*failed, f"Moved {report.moved} key(s) to {report.target}.", *stored])
