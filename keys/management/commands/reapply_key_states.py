import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from keys.actor import operator
from keys.command import VaultCommand
from keys.reapply import Report, reapply


class Command(VaultCommand):
    help = (
        "After restoring a backup: disable, schedule and destroy the key versions that the audit says were so since. "
        "Enables nothing. May be run again."
    )
    refusals = (*VaultCommand.refusals, OSError, UnicodeDecodeError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", help="audit records as JSON Lines, from an export or a collector; - is standard input"
        )
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")
        parser.add_argument("--json", action="store_true", help="write one JSON object")

    def run(self, *, file: str, reason: str, **options: Any) -> None:
        if file == "-":
            report = reapply(sys.stdin, actor=operator(), reason=reason)
        else:
            with Path(file).open(encoding="utf-8") as lines:
                report = reapply(lines, actor=operator(), reason=reason)
        self.stdout.write(json.dumps(asdict(report)) if options["json"] else _text(report))


def _text(report: Report) -> str:
    left = [f"To do: {sentence}" for sentence in report.left]
    return "\n".join([*report.done, *left, f"{len(report.done)} changed, {len(report.left)} to do."])
