"""`verify_audit` on an installation whose database somebody has edited from outside, triggers dropped."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from keys import append_only
from tests.own_database import database_url  # noqa: F401  fixture

ROOT = Path(__file__).parents[2]
FILL = """
from keys import checkpoints
from tests.codec_lines import request, write
for chain in ("codec-1", "codec-2"):
    write([request() for _ in range(2500)], chain=chain)
checkpoints.publish()
"""


class Installation:
    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self._environment = {"PATH": os.environ["PATH"], "CODEC_VAR": str(directory), "DATABASE_URL": url}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *command]
        return subprocess.run(line, env=self._environment, cwd=ROOT, check=False, capture_output=True, text=True)

    def verify(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("manage.py", "verify_audit", *options)

    def edit(self, *statements: str) -> None:
        """Change the database as somebody would who has its file, or the owner's password, and nothing else."""
        opened = sqlite3.connect(self.url.removeprefix("sqlite:///")) if self.is_sqlite else psycopg.connect(self.url)
        with closing(opened), opened:
            for statement in [*append_only.lift_statements(connection.vendor), *statements]:
                opened.execute(statement)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")


@pytest.fixture
def installation(tmp_path: Path, database_url: str) -> Installation:
    found = Installation(tmp_path / "var", database_url)
    assert found.run("manage.py", "migrate", "--verbosity", "0").returncode == 0
    assert found.run("manage.py", "shell", "-c", FILL).returncode == 0
    return found


def test_first_edit_on_disk_of_each_chain_is_named(installation):
    installation.edit(
        "UPDATE keys_auditrecord SET actor_name = 'nobody' WHERE chain_id = 'codec-1' AND sequence IN (2100, 2200)",
        "DELETE FROM keys_auditrecord WHERE chain_id = 'codec-2' AND sequence = 7",
    )
    told = installation.verify()
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        "WRONG  codec-1 record 2100: was changed, moved or put in",
        "WRONG  codec-2 record 7: is missing; the next one is 8",
    ]
    assert "2 of the audit's chains are not what was written." in told.stderr


def test_tail_cut_with_its_head_is_named_by_the_servers_own_checkpoint(installation):
    installation.edit(
        "DELETE FROM keys_auditrecord WHERE chain_id = 'codec-1' AND sequence > 100",
        "UPDATE keys_auditchain SET sequence = 100, mac = (SELECT mac FROM keys_auditrecord "
        "WHERE chain_id = 'codec-1' AND sequence = 100) WHERE name = 'codec-1'",
    )
    assert installation.verify().stdout == "WRONG  codec-1 record 101: is missing; a checkpoint knows 2500 records\n"


def test_whole_audit_is_right_with_progress_and_need_not_be_read_twice(installation):
    whole, rest = installation.verify(), installation.verify("--resume")
    assert (whole.stdout, rest.stdout) == ("OK\n", "OK\n")
    assert "codec-1: 2000 records\ncodec-1: 2500 records\n" in whole.stderr
    assert "codec-1: 2000 records" not in rest.stderr
