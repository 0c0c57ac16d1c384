"""After a restore: what the audit tells of keys is applied, nothing decodes that did not, and doubts are reported."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.utils import timezone

from keys import audit, lifecycle
from keys.audit import AuditAction
from keys.audit_canonical import as_dict
from keys.errors import AlreadyExists, ReasonRequired
from keys.models import AuditChain, AuditRecord, KeyVersion
from keys.reapply import NotAnAudit, reapply
from keys.rotation import import_key, promote_key, publish_key
from tests import canary
from tests.commands import manage
from tests.conftest import OPERATOR

State = KeyVersion.State
SEQUENCE = 1_000_000  # far behind what the database holds


@pytest.fixture
def version(payments) -> KeyVersion:
    """A version that the backup has as ENABLED; not the primary."""
    return publish_key(payments, actor=OPERATOR, reason="test")


@pytest.fixture
def line(payments):
    """Return a function that makes a line of an export, from after the backup."""
    number = SEQUENCE

    def make(action: AuditAction, key_id: str, *, namespace: str = "payments", **details: object) -> str:
        nonlocal number
        number += 1
        composed = audit.compose(
            action, actor=OPERATOR, namespace=namespace, details={"key_id": key_id, "reason": "then", **details}
        )
        composed.chain_id, composed.sequence = "management", number
        return json.dumps(as_dict(composed), default=str)

    return make


def run(*lines: str):
    return reapply(lines, actor=OPERATOR, reason="restored")


def state(version: KeyVersion) -> str:
    version.refresh_from_db()
    return version.state


# What is applied ------------------------------------------------------------------------------------------------------


def test_disabled(version, line):
    report = run(line(AuditAction.KEY_DISABLED, version.key_id))
    assert state(version) == State.DISABLED
    assert report.done == [f"payments {version.key_id} is now DISABLED."]
    assert report.left == []


def test_destroyed_has_no_material_any_more(version, line):
    run(line(AuditAction.KEY_DESTROYED, version.key_id))
    assert state(version) == State.DESTROYED
    assert version.wrapped is None


def test_scheduled_keeps_its_day(version, line):
    day = timezone.now() + timedelta(days=3)
    run(line(AuditAction.KEY_DESTRUCTION_SCHEDULED, version.key_id, destroy_at=day.isoformat()))
    assert state(version) == State.DESTROY_SCHEDULED
    assert version.destroy_at == day


def test_scheduled_for_a_day_that_has_passed_is_destroyed_by_the_next_run(version, line):
    day = timezone.now() - timedelta(days=3)
    run(line(AuditAction.KEY_DESTRUCTION_SCHEDULED, version.key_id, destroy_at=day.isoformat()))
    assert [one.pk for one in lifecycle.destroy_due(actor=OPERATOR)] == [version.pk]


def test_a_destruction_that_was_cancelled_does_not_happen(version, line):
    lifecycle.schedule_destruction(version, actor=OPERATOR, reason="test", override=True)
    run(line(AuditAction.KEY_DESTRUCTION_CANCELLED, version.key_id))
    assert state(version) == State.DISABLED
    assert version.destroy_at is None


def test_the_last_line_counts(version, line):
    lines = [line(AuditAction.KEY_DISABLED, version.key_id), line(AuditAction.KEY_ENABLED, version.key_id)]
    run(*reversed(lines))
    assert state(version) == State.ENABLED


def test_destroyed_is_for_ever_whatever_comes_after_it(version, line):
    run(line(AuditAction.KEY_DESTROYED, version.key_id), line(AuditAction.KEY_ENABLED, version.key_id))
    assert state(version) == State.DESTROYED


def test_a_destroyed_id_that_the_backup_never_had_is_not_used_again(payments, line):
    run(line(AuditAction.KEY_DESTROYED, "worker"))
    tombstone = payments.key_versions.get(key_id="worker")
    assert (tombstone.state, tombstone.wrapped) == (State.DESTROYED, None)
    with pytest.raises(AlreadyExists):
        import_key(payments, "worker", canary.DATA_KEY, primary=False, actor=OPERATOR)


def test_the_empty_id_is_not_used_again(payments, line):
    run(line(AuditAction.KEY_DESTROYED, "(empty)"))
    with pytest.raises(AlreadyExists):
        import_key(payments, "", canary.DATA_KEY, primary=False, actor=OPERATOR)


def test_a_primary_that_was_destroyed_is_no_primary_any_more(payments, line):
    primary = payments.key_versions.get(is_primary=True)
    report = run(line(AuditAction.KEY_DESTROYED, primary.key_id))
    assert state(primary) == State.DESTROYED
    assert not primary.is_primary
    assert report.left == ["payments has no primary now. Use promote_key, or rotate_key."]


def test_a_line_of_standard_output(version, line):
    run(json.dumps({"audit": json.loads(line(AuditAction.KEY_DISABLED, version.key_id)), "mac": "00"}))
    assert state(version) == State.DISABLED


# What is left to a person ---------------------------------------------------------------------------------------------


def test_nothing_is_enabled(version, line):
    lifecycle.disable(version, actor=OPERATOR, reason="test")
    report = run(line(AuditAction.KEY_ENABLED, version.key_id))
    assert state(version) == State.DISABLED
    assert report.left == [f"payments {version.key_id} had been enabled again. Use enable_key if it should be."]


def test_a_cancelled_destruction_that_was_enabled_again_stops_at_disabled(version, line):
    lifecycle.schedule_destruction(version, actor=OPERATOR, reason="test", override=True)
    report = run(line(AuditAction.KEY_ENABLED, version.key_id))
    assert state(version) == State.DISABLED
    assert len(report.left) == 1


def test_a_destroyed_version_stays_destroyed(version, line):
    KeyVersion.objects.filter(pk=version.pk).update(state=State.DESTROYED, wrapped=None)
    report = run(line(AuditAction.KEY_ENABLED, version.key_id))
    assert (report.done, report.left) == ([], [])


def test_nothing_is_promoted(payments, version, line):
    report = run(line(AuditAction.KEY_MADE_PRIMARY, version.key_id))
    assert not payments.key_versions.get(pk=version.pk).is_primary
    assert report.left == [f"payments {version.key_id} had been made the primary. Use promote_key if it should be."]


def test_the_primary_of_today_needs_no_promotion(payments, version, line):
    told = line(AuditAction.KEY_MADE_PRIMARY, version.key_id)
    promote_key(version, actor=OPERATOR, reason="test")
    assert run(told).left == []


def test_a_key_made_after_the_backup(payments, line):
    report = run(line(AuditAction.KEY_CREATED, "9-abcdefgh"))
    assert "payments 9-abcdefgh was made after the backup" in report.left[0]
    assert not payments.key_versions.filter(key_id="9-abcdefgh").exists()


def test_it_is_disabled_once_it_is_imported_again(payments, line):
    lines = [line(AuditAction.KEY_IMPORTED, "worker"), line(AuditAction.KEY_DISABLED, "worker")]
    run(*lines)
    again = import_key(payments, "worker", canary.DATA_KEY, primary=False, actor=OPERATOR)
    run(*lines)
    assert state(again) == State.DISABLED


def test_a_namespace_made_after_the_backup(payments, line):
    report = run(line(AuditAction.KEY_DESTROYED, "1-abcdefgh", namespace="payroll"))
    assert report.left == ["There is no namespace payroll. Create it, then run this again."]


def test_lost_lines_are_told(payments):
    assert run('{"audit_lost": 3}').left[0].startswith("3 lines were lost")


# Twice, and records that are known ------------------------------------------------------------------------------------


def test_twice_changes_nothing_more(version, line):
    lines = [line(AuditAction.KEY_DESTROYED, version.key_id), line(AuditAction.KEY_DESTROYED, "worker")]
    assert len(run(*lines).done) == 2
    before = AuditRecord.objects.count()
    assert run(*lines).done == []
    assert AuditRecord.objects.count() == before


def test_what_the_database_knows_itself_is_passed_over(version):
    lifecycle.disable(version, actor=OPERATOR, reason="test")
    exported = [json.dumps(as_dict(record), default=str) for record in AuditRecord.objects.order_by("id")]
    lifecycle.enable(version, actor=OPERATOR, reason="test")
    assert run(*exported).done == []
    assert state(version) == State.ENABLED


def test_so_is_what_it_knew_before_retention_dropped_it(version, line):
    old = line(AuditAction.KEY_DISABLED, version.key_id)
    AuditChain.objects.filter(pk="management").update(floor_sequence=json.loads(old)["sequence"])
    assert run(old).done == []


def test_each_change_is_recorded_with_reason_and_source(version, line):
    told = line(AuditAction.KEY_DISABLED, version.key_id)
    run(told)
    record = AuditRecord.objects.latest("id")
    assert record.action == AuditAction.KEY_DISABLED
    assert record.details == {
        "key_id": version.key_id,
        "from": "ENABLED",
        "reason": "restored",
        "reapplied": json.loads(told)["event_id"],
    }


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["at,action", "[]", "{}", '{"time": 1, "class_uid": 6003}', '{"audit": 1}'])
def test_another_format_is_refused_and_nothing_is_changed(version, line, bad):
    with pytest.raises(NotAnAudit, match="Line 2"):
        run(line(AuditAction.KEY_DISABLED, version.key_id), bad)
    assert state(version) == State.ENABLED


def test_a_reason_is_required(version, line):
    with pytest.raises(ReasonRequired):
        reapply([line(AuditAction.KEY_DISABLED, version.key_id)], actor=OPERATOR, reason=" ")


def test_the_command_says_what_it_did(version, line):
    lines = "\n".join([line(AuditAction.KEY_DISABLED, version.key_id), line(AuditAction.KEY_CREATED, "9-abc"), ""])
    printed = manage("reapply_key_states", "-", "--reason", "restored", stdin=lines.encode())
    assert printed.splitlines() == [
        f"payments {version.key_id} is now DISABLED.",
        "To do: payments 9-abc was made after the backup and is not in it. "
        "If Workers have it, import_key it, then run this again.",
        "1 changed, 1 to do.",
    ]


def test_the_command_in_json(version, line, tmp_path):
    (tmp_path / "audit.jsonl").write_text(line(AuditAction.KEY_DISABLED, version.key_id))
    printed = manage("reapply_key_states", str(tmp_path / "audit.jsonl"), "--reason", "restored", "--json")
    assert json.loads(printed) == {"done": [f"payments {version.key_id} is now DISABLED."], "left": []}


def test_a_file_that_is_not_there(db):
    with pytest.raises(CommandError, match="No such file"):
        manage("reapply_key_states", "/nowhere/audit.jsonl", "--reason", "restored")
