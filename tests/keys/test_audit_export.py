"""What an export holds, what its manifest says, and that it is recorded."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.db import DatabaseError

from keys import audit_export, checkpoints
from keys.actor import Actor, ActorKind
from keys.audit_export import ExportRefused, Selection
from keys.audit_formats import Format
from keys.group_commit import GroupCommit
from keys.models import AuditRecord
from tests.audit_lines import decoded, managed
from tests.commands import manage
from tests.conftest import OPERATOR

ALICE = Actor(kind=ActorKind.USER, id="7", name="alice")
DAY = datetime(2026, 1, 10, tzinfo=UTC)
JANUARY = ("--from", "2026-01-01", "--to", "2026-02-01")


@pytest.fixture
def writer(db) -> GroupCommit:
    """A server's chain: payments on the 10th, other on the 11th by alice, payments on the 12th; and one management."""
    writer = GroupCommit()
    decoded(writer, DAY)
    decoded(writer, DAY + timedelta(days=1), namespace="other", actor=ALICE)
    decoded(writer, DAY + timedelta(days=2))
    managed(DAY + timedelta(days=3))
    return writer


def lines(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "audit.jsonl").read_text().splitlines()]


def body(directory: Path) -> dict:
    return json.loads((directory / "manifest.json").read_text())["body"]


def days(directory: Path) -> list[str]:
    return [line["at"][8:10] for line in lines(directory)]


def test_records_of_the_period_are_written_in_order(writer, tmp_path):
    printed = manage("export_audit", *JANUARY, "--output", str(tmp_path / "new"))
    assert days(tmp_path / "new") == ["10", "11", "12", "13"]
    assert "Wrote 4 records" in printed


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["--from", "2026-01-11", "--to", "2026-01-12"], ["11"]),
        (["--from", "2026-01-10T00:00:01", "--to", "2026-01-12T00:00:00+00:00"], ["11"]),
        ([*JANUARY, "--namespace", "payments"], ["10", "12"]),
        ([*JANUARY, "--namespace", "payments", "--namespace", "other"], ["10", "11", "12"]),
        ([*JANUARY, "--actor", "alice"], ["11"]),
        ([*JANUARY, "--actor", "7"], ["11"]),
        ([*JANUARY, "--actor", "alice", "--namespace", "payments"], []),
    ],
)
def test_only_what_was_asked_for_is_written(writer, tmp_path, chosen, expected):
    manage("export_audit", *chosen, "--output", str(tmp_path))
    assert days(tmp_path) == expected


def test_manifest_tells_of_the_file_and_of_each_chain(writer, tmp_path):
    manage("export_audit", *JANUARY, "--output", str(tmp_path))
    content, said = (tmp_path / "audit.jsonl").read_bytes(), body(tmp_path)
    assert (said["sha256"], said["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (said["records"], said["file"], said["format"]) == (4, "audit.jsonl", "jsonl")
    last = AuditRecord.objects.get(chain__name=writer._chain_name, sequence=3)
    expected = {"records": 3, "first": 1, "last": 3, "last_mac": bytes(last.mac).hex()}
    assert said["chains"][writer._chain_name] == expected


def test_manifest_is_a_checkpoint_too(writer, tmp_path):
    manage("export_audit", *JANUARY, "--output", str(tmp_path))
    heads = checkpoints.read((tmp_path / "manifest.json").read_text()).heads
    assert heads[writer._chain_name].sequence == 3
    assert manage("verify_audit", "--checkpoint", str(tmp_path / "manifest.json")).endswith("OK\n")


def test_export_is_recorded_with_what_was_chosen(writer, tmp_path):
    manage("export_audit", *JANUARY, "--namespace", "payments", "--output", str(tmp_path))
    record = AuditRecord.objects.get(action="audit:exported")
    assert record.details == {
        "format": "jsonl",
        "from": "2026-01-01T00:00:00+00:00",
        "to": "2026-02-01T00:00:00+00:00",
        "namespaces": ["payments"],
        "actors": [],
    }
    assert body(tmp_path)["event_id"] == str(record.event_id)


def test_export_that_cannot_be_recorded_leaves_nothing(writer, tmp_path, audit_unwritable):
    with pytest.raises(DatabaseError):
        audit_export.export(Selection(DAY, DAY), Format.JSONL, tmp_path, actor=OPERATOR)
    assert list(tmp_path.iterdir()) == []


def test_export_is_not_written_over(writer, tmp_path):
    manage("export_audit", *JANUARY, "--output", str(tmp_path))
    with pytest.raises(CommandError, match="holds an export already"):
        manage("export_audit", *JANUARY, "--output", str(tmp_path))


def test_export_that_was_broken_off_is_written_over(writer, tmp_path):
    (tmp_path / "audit.jsonl.part").write_text("half a li")
    manage("export_audit", *JANUARY, "--output", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "manifest.json"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--from", "2026-02-01", "--to", "2026-02-01"],
        ["--from", "yesterday", "--to", "2026-02-01"],
        ["--from", "2026-02-01"],
    ],
)
def test_no_period_is_no_export(db, tmp_path, wrong):
    with pytest.raises(CommandError):
        manage("export_audit", *wrong, "--output", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("format", "name"), [("csv", "audit.csv"), ("ocsf", "audit.ocsf.jsonl")])
def test_other_formats_have_a_manifest_as_well(writer, tmp_path, format, name):
    manage("export_audit", *JANUARY, "--format", format, "--output", str(tmp_path))
    content = (tmp_path / name).read_bytes()
    assert body(tmp_path)["sha256"] == hashlib.sha256(content).hexdigest()
    assert body(tmp_path)["records"] == 4


def test_archive_holds_the_same(writer):
    pieces = audit_export.download(Selection(DAY, DAY + timedelta(days=2)), Format.JSONL, actor=OPERATOR)
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        content, manifest = archive.read("audit.jsonl"), json.loads(archive.read("manifest.json"))
    assert manifest["body"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(content.splitlines()) == 2


def test_archive_leaves_in_pieces(writer, monkeypatch):
    monkeypatch.setattr(audit_export, "_CHUNK", 1)
    pieces = list(audit_export.download(Selection(DAY, DAY + timedelta(days=3)), Format.JSONL, actor=OPERATOR))
    assert len(pieces) > 1
    assert zipfile.ZipFile(io.BytesIO(b"".join(pieces))).testzip() is None


def test_download_is_recorded_before_it_is_read(writer):
    audit_export.download(Selection(DAY, DAY), Format.CSV, actor=OPERATOR)
    assert AuditRecord.objects.filter(action="audit:exported").exists()


def test_refused_directory_is_not_recorded(writer, tmp_path):
    (tmp_path / "manifest.json").touch()
    with pytest.raises(ExportRefused):
        audit_export.export(Selection(DAY, DAY), Format.JSONL, tmp_path, actor=OPERATOR)
    assert not AuditRecord.objects.filter(action="audit:exported").exists()


def test_public_key_is_printed(settings):
    assert manage("audit_public_key") == f"{checkpoints.public_key()}\n"
