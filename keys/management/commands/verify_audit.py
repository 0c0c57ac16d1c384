from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from keys import checkpoints
from keys.command import VaultCommand
from keys.verification import Finding, Progress, verify


class Command(VaultCommand):
    help = "Verify every audit chain. Says OK, or names the first wrong record of each chain and fails."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--checkpoint",
            help="a file whose last line is a checkpoint kept elsewhere (default: this server's own file)",
        )
        parser.add_argument("--resume", action="store_true", help="read only what came after the checkpoint")

    def run(self, *, checkpoint: str | None, resume: bool, **options: Any) -> None:
        signed = _read(checkpoint) if checkpoint else checkpoints.latest()
        findings = [found for found in self._look(verify(signed, resume=resume)) if isinstance(found, Finding)]
        for finding in findings:
            self.stdout.write(f"WRONG  {finding}")
        if findings:
            raise CommandError(f"{len(findings)} of the audit's chains are not what was written.")
        self.stdout.write("OK")

    def _look(self, results: Any) -> Any:
        for result in results:
            if isinstance(result, Progress):
                self.stderr.write(f"{result.chain}: {result.records} records")
            yield result


def _read(path: str) -> checkpoints.Checkpoint:
    lines = [line for line in Path(path).read_text().splitlines() if line.strip()]
    if not lines:
        raise CommandError(f"{path} holds no checkpoint.")
    return checkpoints.read(lines[-1])
