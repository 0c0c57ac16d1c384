"""The procedure of docs/audit.md verifies an export with OpenSSL, as it stands there."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keys import audit_export, checkpoints
from keys.audit_export import Selection
from keys.audit_formats import Format
from keys.group_commit import GroupCommit
from tests.audit_lines import decoded
from tests.conftest import OPERATOR

GUIDE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
MARK = "<!-- run by tests/deploy/test_procedure.py -->"
DAY = datetime(2026, 1, 10, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture
def exported(db, tmp_path) -> Path:
    writer = GroupCommit()
    for hour in range(3):
        decoded(writer, DAY + timedelta(hours=hour))
    audit_export.export(Selection(DAY, DAY + timedelta(days=1)), Format.JSONL, tmp_path, actor=OPERATOR)
    return tmp_path


def follow_the_guide(directory: Path, key: str | None = None) -> subprocess.CompletedProcess[str]:
    block = re.search(r"```sh\n(.*?)```", GUIDE.partition(MARK)[2], re.DOTALL)
    command = ["sh", "-c", f"PUBLIC_KEY={key or checkpoints.public_key()}\n{block[1]}"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_untouched_export_is_right(exported):
    done = follow_the_guide(exported)
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert "audit.jsonl: OK" in done.stdout


def test_changed_line_is_found(exported):
    file = exported / "audit.jsonl"
    file.write_bytes(file.read_bytes().replace(b"payments", b"paymentz", 1))
    done = follow_the_guide(exported)
    assert done.returncode != 0
    assert "audit.jsonl: FAILED" in done.stdout


def test_changed_manifest_is_found(exported):
    manifest = exported / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"records": 3', '"records": 4'))
    assert "Signature Verified" not in follow_the_guide(exported).stdout


def test_other_key_is_found(exported, settings):
    settings.CODEC_AUDIT_SIGNING_KEY = "cd" * 32
    assert follow_the_guide(exported).returncode != 0
