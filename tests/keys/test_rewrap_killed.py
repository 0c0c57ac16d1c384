"""Data keys move from a file to AWS KMS, to an HSM and back, in processes that are killed in the middle of it.

The installation is one of its own, on the database of this run: SQLite, or another database of the same PostgreSQL.
"""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kms import Keks
from tests.own_database import database_url  # noqa: F401  fixture

ROOT = Path(__file__).parents[2]
KEYS = 200  # so many that the progress of all of them does not fit the pipe
PIPE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Vault:
    """An installation of its own: its environment but for CODEC_KEK, and the file of sealed payloads."""

    environment: dict[str, str]
    sealed: Path

    def run(self, kek: str, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], env=self.with_kek(kek), cwd=ROOT, check=True, capture_output=True, text=True
        )
        return done.stdout

    def open_all(self, kek: str) -> dict[str, object]:
        """Decode every sealed payload; return how many keys each KEK wraps, and how many moves are recorded."""
        return json.loads(self.run(kek, "-m", "tests.sealed", "open", str(self.sealed)))

    def start_rewrap(self, kek: str) -> subprocess.Popen[bytes]:
        """Begin to move the keys one by one. It comes to a halt when nobody reads its progress."""
        command = [sys.executable, "manage.py", "rewrap_keys", "--batch", "1"]
        process = subprocess.Popen(command, env=self.with_kek(kek), cwd=ROOT, stdout=subprocess.PIPE)
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return process

    def with_kek(self, kek: str) -> dict[str, str]:
        return {**self.environment, "CODEC_KEK": kek}


@pytest.fixture
def vault(tmp_path: Path, database_url: str, local_keks: Keks) -> Vault:
    """An installation with KEYS namespaces under the first local KEK, and a payload sealed in each."""
    environment = {"PATH": os.environ["PATH"], "CODEC_VAR": str(tmp_path / "var"), "DATABASE_URL": database_url}
    found = Vault(environment, tmp_path / "sealed.json")
    found.run(local_keks.first, "manage.py", "migrate", "--verbosity", "0")
    found.run(local_keks.first, "-m", "tests.sealed", "seal", str(found.sealed), str(KEYS))
    return found


def kill_in_the_middle(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout.readline().startswith(b"1 of ")
    time.sleep(random.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def move(vault: Vault, former: str, target: str, recorded: int) -> int:
    """Move all keys, killed once on the way; return how many moves are recorded now.

    Everything decodes in between, and afterwards with the target alone. A row and its record were written together.
    """
    both = f"{target}, {former}"
    kill_in_the_middle(vault.start_rewrap(both))
    half = vault.open_all(both)
    moved = half["records"] - recorded
    assert 0 < moved < KEYS
    assert sorted(half["keks"].values()) == sorted([moved, KEYS - moved])
    vault.run(both, "manage.py", "rewrap_keys")
    opened = vault.open_all(target)
    assert (list(opened["keks"].values()), opened["records"]) == ([KEYS], recorded + KEYS)
    return opened["records"]


def test_keys_move_through_every_provider_and_back_though_the_process_is_killed(vault, local_keks, kms_keks, hsm_keks):
    vault.environment.update(kms_keks.environment | hsm_keks.environment)
    way = [local_keks.first, kms_keks.first, hsm_keks.first, local_keks.first]
    recorded = 0
    for former, target in pairwise(way):
        recorded = move(vault, former, target, recorded)


def test_two_processes_at_once_move_each_key_once(vault, local_keks):
    both = f"{local_keks.second} {local_keks.first}"
    processes = [vault.start_rewrap(both) for _ in range(2)]
    for process in processes:
        process.communicate()
    vault.run(both, "manage.py", "rewrap_keys")
    opened = vault.open_all(local_keks.second)
    assert (list(opened["keks"].values()), opened["records"]) == ([KEYS], KEYS)
