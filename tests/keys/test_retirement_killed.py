"""A retirement that is killed, at every step and at any moment, loses no record and leaves append-only in force.

The installation is one of its own, on the database of this run: SQLite, or another database of the same PostgreSQL.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.own_database import database_url  # noqa: F401  fixture

ROOT = Path(__file__).parents[2]
RECORDS = 400
OLD = RECORDS  # half of the records of two chains; the records of their opening are of today
STEPS = [
    *("writing", "written", "lifted", "one chain dropped", "all dropped", "append-only again", "recorded"),
    "committed",
]
MOMENTS = 6
TOUCH = "UPDATE keys_auditrecord SET reason = 'x'"


@dataclass(frozen=True, slots=True)
class Logbook:
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *command]
        return subprocess.run(line, env=self.environment, cwd=ROOT, check=check, capture_output=True, text=True)

    def manage(self, *arguments: str) -> str:
        return self.run("manage.py", *arguments).stdout

    def old(self) -> int:
        """Verify the audit; return how many old records are in the database."""
        assert self.manage("verify_audit").endswith("OK\n")
        assert self.refuses_changes()
        return json.loads(self.run("-m", "tests.old_audit", "count").stdout)[1]

    def refuses_changes(self) -> bool:
        script = f"from django.db import connection; connection.cursor().execute({TOUCH!r})"
        return "append-only" in self.run("manage.py", "shell", "-c", script, check=False).stderr

    def verified_export(self, directory: Path) -> int:
        """Verify an export with the public key; return how many records it holds."""
        key = self.manage("audit_public_key").strip()
        self.run("deploy/verify_export.py", "--key", key, str(directory))
        return len((directory / "audit.jsonl").read_text().splitlines())


@pytest.fixture
def logbook(tmp_path: Path, database_url: str) -> Logbook:
    environment = {"PATH": os.environ["PATH"], "CODEC_VAR": str(tmp_path / "var"), "DATABASE_URL": database_url}
    found = Logbook(environment)
    found.manage("migrate", "--verbosity", "0")
    found.run("-m", "tests.old_audit", "write", str(RECORDS))
    return found


def nothing_is_lost(logbook: Logbook, directory: Path) -> int:
    """Return how many records are dropped: all that are old, in an export that verifies, or none."""
    old = logbook.old()
    assert old in {0, OLD}
    if old == 0:
        assert logbook.verified_export(directory) == OLD
    return OLD - old


def retire_again(logbook: Logbook, directory: Path) -> None:
    printed = logbook.manage("retire_audit", "--output", str(directory))
    assert printed.startswith(f"Wrote {OLD} records of 2 chains")
    assert nothing_is_lost(logbook, directory) == OLD


def test_killed_at_any_step_loses_nothing(logbook, tmp_path):
    for number, step in enumerate(STEPS):
        directory = tmp_path / str(number)
        killed = logbook.run("-m", "tests.old_audit", "retire", step, str(directory), check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert nothing_is_lost(logbook, directory) == (OLD if step == "committed" else 0), step


def test_killed_while_writing_can_use_the_directory_again(logbook, tmp_path):
    logbook.run("-m", "tests.old_audit", "retire", "writing", str(tmp_path / "old"), check=False)
    retire_again(logbook, tmp_path / "old")


def test_killed_at_any_moment_loses_nothing(logbook, tmp_path):
    for number in range(MOMENTS):
        directory = tmp_path / str(number)
        command = [sys.executable, "manage.py", "retire_audit", "--output", str(directory)]
        process = subprocess.Popen(command, env=logbook.environment, cwd=ROOT, stdout=subprocess.DEVNULL)
        while not (directory / "audit.jsonl.part").exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if nothing_is_lost(logbook, directory):
            return
    retire_again(logbook, tmp_path / "last")
