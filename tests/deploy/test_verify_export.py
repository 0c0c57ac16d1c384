"""Anyone with the public key finds whatever was done to an export. The script runs as a process without Django."""

import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keys import audit_export, checkpoints
from keys.audit_export import Selection
from keys.audit_formats import Format
from keys.group_commit import GroupCommit
from tests.audit_lines import decoded, managed
from tests.conftest import OPERATOR

SCRIPT = Path(__file__).parents[2] / "deploy" / "verify_export.py"
DAY = datetime(2026, 1, 10, tzinfo=UTC)
ALL = Selection(DAY, DAY + timedelta(days=30))


def verify(export: Path, key: str | None = None) -> tuple[int, str]:
    command = [sys.executable, "-I", str(SCRIPT), "--key", key or checkpoints.public_key(), str(export)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture
def records(db) -> None:
    writer = GroupCommit()
    for hour in range(10):
        decoded(writer, DAY + timedelta(hours=hour))
    managed(DAY)


@pytest.fixture
def exported(records, tmp_path) -> Path:
    audit_export.export(ALL, Format.JSONL, tmp_path / "export", actor=OPERATOR)
    return tmp_path / "export"


def test_untouched_export_is_right(exported):
    status, says = verify(exported)
    assert (status, says.splitlines()[0][:15]) == (0, "OK  11 records ")
    assert "management: 1 records, from" in says


@pytest.mark.parametrize("format", Format)
def test_every_format_is_right(records, tmp_path, format):
    audit_export.export(ALL, format, tmp_path / "export", actor=OPERATOR)
    assert verify(tmp_path / "export")[0] == 0


def test_empty_export_is_right(db, tmp_path):
    audit_export.export(ALL, Format.CSV, tmp_path / "export", actor=OPERATOR)
    assert verify(tmp_path / "export")[0] == 0


def test_archive_is_right(records, tmp_path):
    archive = tmp_path / "export.zip"
    archive.write_bytes(b"".join(audit_export.download(ALL, Format.JSONL, actor=OPERATOR)))
    assert verify(archive)[0] == 0


def test_key_may_stand_in_a_file(exported, tmp_path):
    (tmp_path / "key").write_text(checkpoints.public_key() + "\n")
    assert verify(exported, str(tmp_path / "key"))[0] == 0


def change_a_byte(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"payments", b"paymentz"), *lines[1:]]


def drop_a_line(lines: list[bytes]) -> list[bytes]:
    return lines[:4] + lines[5:]


def swap_two_lines(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


def add_a_line(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[0]]


def cut_the_end(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:-1]]


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (change_a_byte, "as many lines and bytes, but changed or in another order"),
        (drop_a_line, "there are 10 lines, and there were 11"),
        (swap_two_lines, "as many lines and bytes, but changed or in another order"),
        (add_a_line, "there are 12 lines, and there were 11"),
        (cut_the_end, "bytes, and there were"),
    ],
)
def test_changed_lines_are_found(exported, tamper, says):
    file = exported / "audit.jsonl"
    file.write_bytes(b"".join(tamper(file.read_bytes().splitlines(keepends=True))))
    status, said = verify(exported)
    assert (status, said.startswith("WRONG  the lines are not those that were signed")) == (1, True)
    assert says in said


@pytest.mark.parametrize("tamper", [change_a_byte, swap_two_lines])
def test_lines_changed_in_an_archive_are_found(records, tmp_path, tamper):
    pieces = b"".join(audit_export.download(ALL, Format.JSONL, actor=OPERATOR))
    (tmp_path / "export.zip").write_bytes(pieces)
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        lines, manifest = archive.read("audit.jsonl").splitlines(keepends=True), archive.read("manifest.json")
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as archive:
        archive.writestr("audit.jsonl", b"".join(tamper(lines)))
        archive.writestr("manifest.json", manifest)
    assert verify(tmp_path / "changed.zip")[0] == 1


def edit(exported: Path, change) -> None:
    """Change the manifest's body, leaving its signature."""
    signed = json.loads((exported / "manifest.json").read_text())
    change(signed)
    (exported / "manifest.json").write_text(json.dumps(signed))


def change_count(signed: dict) -> None:
    signed["body"]["records"] = 10


def change_origin(signed: dict) -> None:
    signed["body"]["origin"] = "https://elsewhere.example"


def drop_a_chain(signed: dict) -> None:
    del signed["body"]["chains"]["management"]


def change_signature(signed: dict) -> None:
    signed["signature"] = "00" * 64


@pytest.mark.parametrize("change", [change_count, change_origin, drop_a_chain, change_signature])
def test_edited_manifest_is_found(exported, change):
    edit(exported, change)
    assert verify(exported) == (1, "WRONG  the manifest was changed, or another key has signed it\n")


def test_manifest_signed_by_another_key_is_found(exported, settings):
    key = checkpoints.public_key()
    settings.CODEC_AUDIT_SIGNING_KEY = "cd" * 32
    body = json.loads((exported / "manifest.json").read_text())["body"]
    (exported / "manifest.json").write_text(checkpoints.sign(body))
    assert verify(exported, key) == (1, "WRONG  the manifest names another public key than yours\n")


def test_manifest_that_only_claims_the_key_is_found(exported, settings):
    key = checkpoints.public_key()
    settings.CODEC_AUDIT_SIGNING_KEY = "cd" * 32
    body = json.loads((exported / "manifest.json").read_text())["body"]
    forged = json.loads(checkpoints.sign(body)) | {"key": key}
    (exported / "manifest.json").write_text(json.dumps(forged))
    assert verify(exported, key) == (1, "WRONG  the manifest was changed, or another key has signed it\n")


def test_checkpoint_is_no_manifest(exported):
    (exported / "manifest.json").write_text(checkpoints.make())
    assert verify(exported) == (1, "WRONG  what was signed is not a manifest of the kind audit-export-v1\n")


def test_manifest_of_another_export_is_found(exported, tmp_path):
    audit_export.export(Selection(DAY, DAY + timedelta(hours=1)), Format.JSONL, tmp_path / "other", actor=OPERATOR)
    (exported / "manifest.json").write_bytes((tmp_path / "other" / "manifest.json").read_bytes())
    assert verify(exported)[0] == 1


@pytest.mark.parametrize("name", ["manifest.json", "audit.jsonl"])
def test_missing_file_is_found(exported, name):
    (exported / name).unlink()
    assert verify(exported)[0] == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', '{"body": {}}', '{"body": 1, "signature": "zz"}'])
def test_what_is_no_manifest_is_found(exported, content):
    (exported / "manifest.json").write_text(content)
    assert verify(exported)[0] == 1


@pytest.mark.parametrize("key", ["00", "zz" * 32, "nowhere"])
def test_what_is_no_key_is_refused(exported, key):
    assert verify(exported, key) == (1, "WRONG  the public key is not 64 hex digits\n")
