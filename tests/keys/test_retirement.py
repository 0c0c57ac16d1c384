"""What retention drops, what stays, and that the rest still verifies."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction

from keys import append_only, audit_chain, checkpoints, fingerprint_index, retirement, verification
from keys.audit import AuditAction
from keys.audit_chain import MANAGEMENT
from keys.group_commit import GroupCommit
from keys.models import AuditChain, AuditRecord, FingerprintEntry, KeyUse
from keys.review.models import Viewing
from keys.verification import Finding, verify
from tests.audit_lines import decoded, managed
from tests.commands import manage
from tests.conftest import OPERATOR

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)
OLD, OLDER, BEFORE = (NOW - timedelta(days=days) for days in (430, 500, 410))


def findings(**options) -> list[str]:
    return [str(result) for result in verify(**options) if isinstance(result, Finding)]


def sql(statement: str, *values) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def sequences(chain: str) -> list[int]:
    return list(AuditRecord.objects.filter(chain=chain).order_by("sequence").values_list("sequence", flat=True))


def open_old_chain(name: str, *times: datetime) -> GroupCommit:
    """A server's chain, whose opening is recorded at the first of `times`, with a record at each."""
    managed(times[0], AuditAction.CHAIN_OPENED, chain=name)
    start = audit_chain.genesis(name)
    AuditChain.objects.create(name=name, opened_at=times[0], mac=start, floor_mac=start)
    writer = GroupCommit()
    writer._chain_name = name
    for at in times:
        decoded(writer, at)
    return writer


@pytest.fixture
def living(db) -> GroupCommit:
    """The chain `living`: four old records, one of today."""
    return open_old_chain("living", OLDER, OLDER, OLD, OLD, NOW)


@pytest.fixture
def expired(db) -> GroupCommit:
    """The chain `expired`: two old records."""
    return open_old_chain("expired", OLDER, OLD)


def retire(directory: Path, before: datetime = BEFORE) -> retirement.Retired:
    return retirement.retire(before, directory, actor=OPERATOR)


@pytest.fixture
def retired(living, expired, tmp_path) -> Path:
    """Both chains after a retirement; gives the directory with what was dropped."""
    retire(tmp_path / "old")
    return tmp_path / "old"


# What goes, and what stays --------------------------------------------------------------------------------------------


def test_old_beginning_of_each_chain_goes(retired):
    assert (sequences("living"), sequences("expired")) == ([5], [])


def test_what_goes_is_in_the_export(retired):
    lines = [json.loads(line) for line in (retired / "audit.jsonl").read_text().splitlines()]
    assert sorted((line["chain"], line["sequence"]) for line in lines if line["chain"] != MANAGEMENT) == [
        *(("expired", sequence) for sequence in range(1, 3)),
        *(("living", sequence) for sequence in range(1, 5)),
    ]


def test_record_among_younger_ones_stays(db, tmp_path):
    open_old_chain("c", OLD, NOW, OLD)
    retire(tmp_path)
    assert sequences("c") == [2, 3]


def test_rest_verifies(retired):
    assert findings() == []


def test_chain_goes_on_after_its_old_records_went(retired, expired):
    decoded(expired, NOW)
    assert (sequences("expired"), findings()) == ([3], [])


def test_retirement_with_nothing_left_to_drop_drops_nothing(retired, living, tmp_path):
    decoded(living, NOW)
    again = retire(tmp_path / "again")
    assert (again.records, findings()) == (0, [])


def test_second_retirement_verifies(living, expired, tmp_path):
    retire(tmp_path / "first", before=OLDER + timedelta(days=1))
    assert (sequences("living"), findings()) == ([3, 4, 5], [])
    retire(tmp_path / "second")
    assert (sequences("living"), sequences("expired"), findings()) == ([5], [], [])


def test_append_only_is_back(retired):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        sql("DELETE FROM keys_auditrecord")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        sql("UPDATE keys_auditrecord SET reason = 'x'")


def test_retirement_is_recorded(retired):
    record = AuditRecord.objects.get(action="audit:retired")
    manifest = json.loads((retired / "manifest.json").read_text())["body"]
    assert record.details["records"] == manifest["records"] == 8
    assert (record.details["sha256"], record.details["chains"]) == (manifest["sha256"], 3)
    assert AuditRecord.objects.filter(action="audit:exported").exists()


def test_checkpoint_is_published(living, tmp_path, settings):
    settings.CODEC_CHECKPOINT_FILE = str(tmp_path / "checkpoints")
    retire(tmp_path / "old")
    assert checkpoints.latest().heads["living"].sequence == 5


def test_summaries_keep_what_they_have_read(payments, tmp_path):
    version = payments.key_versions.get()
    writer = open_old_chain("c", OLD)
    line = retirement.audit.compose(
        AuditAction.PAYLOAD_DECODED, actor=OPERATOR, namespace="payments", details={"keys": {version.key_id: 3}}
    )
    line.at = OLD
    writer.write(line, None)
    retire(tmp_path)
    assert KeyUse.objects.get().decoded == 3


def test_viewings_of_what_went_go_too(retired):
    assert list(Viewing.objects.values_list("requests", flat=True)) == [1]


def test_index_forgets_what_went(living, tmp_path):
    line = retirement.audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR, namespace="payments")
    line.at, line.fingerprints = OLD, b"a" * 16
    GroupCommit().write(line, None)
    fingerprint_index.refresh()
    retire(tmp_path)
    assert not FingerprintEntry.objects.exists()


# Refusals -------------------------------------------------------------------------------------------------------------


def refused(directory: Path, before: datetime = BEFORE) -> str:
    """Try to drop; nothing must be gone."""
    count = AuditRecord.objects.exclude(action="audit:exported").count()
    with pytest.raises(retirement.RetirementRefused) as caught:
        retire(directory, before)
    assert AuditRecord.objects.exclude(action="audit:exported").count() == count
    return str(caught.value)


def test_younger_records_are_kept(living, tmp_path):
    assert refused(tmp_path, NOW - timedelta(days=399)).startswith("Records are kept for 400 days")


def test_retention_is_a_setting(living, tmp_path, settings):
    settings.CODEC_AUDIT_RETENTION_DAYS = 450
    assert refused(tmp_path).startswith("Records are kept for 450 days")


def lift_and(statement: str, *values) -> None:
    for lifting in append_only.lift_statements(connection.vendor):
        sql(lifting)
    sql(statement, *values)
    for installing in append_only.install_statements(connection.vendor):
        sql(installing)


def test_changed_record_is_not_dropped(living, tmp_path):
    lift_and("UPDATE keys_auditrecord SET reason = 'x' WHERE chain_id = 'living' AND sequence = 2")
    assert refused(tmp_path).endswith("living record 2: was changed, moved or put in")


def test_chain_with_a_gap_is_not_dropped(living, tmp_path):
    lift_and("DELETE FROM keys_auditrecord WHERE chain_id = 'living' AND sequence = 2")
    assert refused(tmp_path).endswith("living record 2: is missing; the next one is 3")


def test_chain_without_its_end_is_not_dropped(expired, tmp_path):
    lift_and("DELETE FROM keys_auditrecord WHERE chain_id = 'expired' AND sequence = 2")
    assert refused(tmp_path).endswith("expired record 2 is missing")


def test_missing_chain_is_not_forgotten_by_it(living, expired, tmp_path):
    lift_and("DELETE FROM keys_auditrecord WHERE chain_id = 'expired'")
    sql("DELETE FROM keys_auditchain WHERE name = 'expired'")
    assert refused(tmp_path).endswith("expired record 0: the whole chain is missing")


def test_two_at_once_drop_once(living, tmp_path, monkeypatch):
    write = retirement.audit_export.write

    def meanwhile_another(*args):
        write(*args)
        monkeypatch.setattr(retirement.audit_export, "write", write)
        retire(tmp_path / "another")

    monkeypatch.setattr(retirement.audit_export, "write", meanwhile_another)
    with pytest.raises(retirement.RetirementRefused, match="Somebody else has dropped records"):
        retire(tmp_path / "one")
    assert (sequences("living"), findings()) == ([5], [])


def test_disk_that_fails_loses_nothing(living, tmp_path, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(retirement.audit_export.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        retire(tmp_path)
    assert (sequences("living"), findings()) == ([1, 2, 3, 4, 5], [])


# Tampering after a retirement ----------------------------------------------------------------------------------------


def test_more_dropped_than_retired_is_found(retired, living):
    mac = AuditRecord.objects.get(chain="living", sequence=5).mac
    lift_and("DELETE FROM keys_auditrecord WHERE chain_id = 'living' AND sequence = 5")
    assert findings() == ["living record 5: the chain's head says 5 records, there are 4"]
    AuditChain.objects.filter(pk="living").update(floor_sequence=5, floor_mac=mac)
    assert findings() == ["living record 5: the chain does not begin where retention has cut it"]


def test_floor_moved_without_retirement_is_found(living):
    mac = AuditRecord.objects.get(chain="living", sequence=2).mac
    lift_and("DELETE FROM keys_auditrecord WHERE chain_id = 'living' AND sequence <= 2")
    AuditChain.objects.filter(pk="living").update(floor_sequence=2, floor_mac=mac, floor_seal=b"x" * 32)
    assert findings() == ["living record 2: the chain does not begin where retention has cut it"]


def test_seal_of_another_chain_is_found(retired):
    other = AuditChain.objects.get(pk="living")
    AuditChain.objects.filter(pk="expired").update(floor_seal=other.floor_seal)
    assert findings() == ["expired record 2: the chain does not begin where retention has cut it"]


def test_first_record_left_that_was_changed_is_found(retired):
    lift_and("UPDATE keys_auditrecord SET reason = 'x' WHERE chain_id = 'living' AND sequence = 5")
    assert findings() == ["living record 5: was changed, moved or put in"]


def test_expired_chain_without_its_row_is_missed(retired):
    """The record of its opening is gone, so only the retirement tells of it."""
    assert not AuditRecord.objects.filter(action="chain:opened").exists()
    sql("DELETE FROM keys_auditchain WHERE name = 'expired'")
    last = AuditRecord.objects.get(action="audit:retired")
    assert findings() == [f"management record {last.sequence}: tells of 3 chains before it, there are 2, or others"]


def test_expired_chain_without_its_row_is_named_by_a_checkpoint(retired):
    signed = checkpoints.read(checkpoints.make())
    sql("DELETE FROM keys_auditchain WHERE name = 'expired'")
    assert "expired record 0: the whole chain is missing" in findings(since=signed)


def test_expired_chain_under_another_name_is_found(retired):
    sql("UPDATE keys_auditchain SET name = 'renamed' WHERE name = 'expired'")
    assert len(findings()) == 2


def test_chains_opened_later_are_right(retired):
    decoded(GroupCommit(), NOW)
    assert findings() == []


def test_chain_opened_later_without_its_row_is_missed(retired):
    writer = GroupCommit()
    decoded(writer, NOW)
    lift_and("DELETE FROM keys_auditrecord WHERE chain_id = %s", writer._chain_name)
    sql("DELETE FROM keys_auditchain WHERE name = %s", writer._chain_name)
    assert findings() == [f"{writer._chain_name} record 0: the whole chain is missing"]


@pytest.mark.parametrize("sequence", [1, 4, 6])
def test_record_put_where_none_can_be_is_found(retired, sequence):
    sql("UPDATE keys_auditchain SET sequence = sequence WHERE name = 'living'")
    columns = ", ".join(field.column for field in AuditRecord._meta.fields if field.column != "id")
    values = columns.replace("sequence", str(sequence)).replace("event_id", "%s")
    sql(
        f"INSERT INTO keys_auditrecord ({columns}) SELECT {values} FROM keys_auditrecord WHERE chain_id = 'living'",
        "0" * 32,
    )
    assert findings() == [f"living record {sequence}: stands outside of its chain"]


# Checkpoints of before ------------------------------------------------------------------------------------------------


def test_checkpoint_of_before_the_retirement_still_verifies(living, expired, tmp_path):
    signed = checkpoints.read(checkpoints.make())
    retire(tmp_path)
    assert findings(since=signed) == []
    assert findings(since=signed, resume=True) == []


def test_checkpoint_within_what_was_dropped_still_verifies(db, tmp_path):
    writer = open_old_chain("c", OLD, OLD)
    signed = checkpoints.read(checkpoints.make())
    decoded(writer, OLD)
    retire(tmp_path)
    assert findings(since=signed) == []


def test_checkpoint_at_the_cut_is_compared(expired, tmp_path):
    signed = checkpoints.read(checkpoints.make())
    retire(tmp_path)
    signed.heads["expired"] = checkpoints.Head(2, b"x" * 32)
    assert findings(since=signed) == ["expired record 2: is not the one that a checkpoint has signed"]


def test_retirement_during_a_verification_is_no_finding(living, expired, tmp_path, monkeypatch):
    check_floor = verification.check_floor

    def after_a_retirement(chain):
        monkeypatch.setattr(verification, "check_floor", check_floor)
        retire(tmp_path)
        return check_floor(chain)

    monkeypatch.setattr(verification, "check_floor", after_a_retirement)
    assert findings() == []


# The command ----------------------------------------------------------------------------------------------------------


def test_command_says_what_it_did(living, tmp_path):
    printed = manage("retire_audit", "--output", str(tmp_path / "old"))
    assert "Wrote 5 records of 2 chains" in printed


def test_command_says_that_there_is_nothing(db, tmp_path):
    assert manage("retire_audit", "--before", "2001-01-01", "--output", str(tmp_path)).startswith("There are no")
    assert list(tmp_path.iterdir()) == []


def test_command_refuses_what_is_too_young(living, tmp_path):
    with pytest.raises(CommandError, match="Records are kept for 400 days"):
        manage("retire_audit", "--before", f"{NOW:%Y-%m-%d}", "--output", str(tmp_path))
