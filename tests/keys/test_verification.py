"""Every kind of tampering is found and named. Whoever does it here has dropped the triggers first."""

import pytest
from django.db import DatabaseError, connection, models, transaction

from keys import append_only, audit, checkpoints
from keys.audit import AuditAction
from keys.audit_chain import MANAGEMENT, genesis
from keys.audit_line import INSERT
from keys.group_commit import GroupCommit
from keys.models import AuditChain, AuditRecord
from keys.verification import Finding, verify
from tests.conftest import OPERATOR
from tests.database import stored


def findings(**options) -> list[str]:
    return [str(result) for result in verify(**options) if isinstance(result, Finding)]


def decode(writer: GroupCommit, name: str) -> None:
    line = audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR, namespace=name, details={"payloads": 1})
    writer.write(line, None)


def sql(statement: str, *values) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.fixture
def chain(db):
    """The chain of a server process with five records; the triggers are gone, as its attacker would have it."""
    writer = GroupCommit()
    for number in range(5):
        decode(writer, f"n{number}")
    for statement in append_only.lift_statements(connection.vendor):
        sql(statement)
    return AuditChain.objects.exclude(pk=MANAGEMENT).get()


def test_untouched_audit_is_right(chain):
    assert findings() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("namespace", "other"),
        ("actor_name", "mallory"),
        ("actor_id", "7"),
        ("outcome", "denied"),
        ("reason", "x"),
        ("at", "2020-01-01 00:00:00+00:00"),
        ("details", '{"payloads": 2}'),
        ("address", "10.0.0.9"),
        ("credential", "x"),
        ("request_id", "x"),
        ("instance", "x"),
        ("actor_kind", "operator"),
        ("web_origin", "x"),
        ("user_agent", "x"),
        ("action", "payload:encoded"),
        ("event_id", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_edited_field_is_found(chain, field, value):
    value = value.replace("-", "") if field == "event_id" and connection.vendor == "sqlite" else value
    sql(f"UPDATE keys_auditrecord SET {field} = %s WHERE chain_id = %s AND sequence = 3", value, chain.pk)
    assert findings() == [f"{chain.pk} record 3: was changed, moved or put in"]


def test_edited_fingerprints_are_found(chain):
    models.QuerySet(AuditRecord).filter(chain=chain, sequence=3).update(fingerprints=b"x" * 16)
    assert findings() == [f"{chain.pk} record 3: was changed, moved or put in"]


def test_edited_mac_is_found(chain):
    models.QuerySet(AuditRecord).filter(chain=chain, sequence=3).update(mac=b"x" * 32)
    assert findings() == [f"{chain.pk} record 3: was changed, moved or put in"]


def test_record_moved_to_another_chain_is_found(chain):
    sql(
        "UPDATE keys_auditrecord SET chain_id = %s, sequence = 99 WHERE chain_id = %s AND sequence = 3",
        MANAGEMENT,
        chain.pk,
    )
    assert findings() == [
        f"{chain.pk} record 3: is missing; the next one is 4",
        f"{MANAGEMENT} record 99: stands outside of its chain",
    ]


def test_deleted_middle_record_is_found(chain):
    sql("DELETE FROM keys_auditrecord WHERE chain_id = %s AND sequence = 3", chain.pk)
    assert findings() == [f"{chain.pk} record 3: is missing; the next one is 4"]


def test_cut_tail_is_found(chain):
    sql("DELETE FROM keys_auditrecord WHERE chain_id = %s AND sequence > 3", chain.pk)
    assert findings() == [f"{chain.pk} record 4: the chain's head says 5 records, there are 3"]


def test_swapped_records_are_found(chain):
    for old, new in ((2, -1), (3, 2), (-1, 3)):
        sql("UPDATE keys_auditrecord SET sequence = %s WHERE chain_id = %s AND sequence = %s", new, chain.pk, old)
    assert findings() == [f"{chain.pk} record 2: was changed, moved or put in"]


def test_record_put_in_is_found(chain):
    forged = audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR)
    forged.chain_id, forged.sequence, forged.mac = chain.pk, 6, b"x" * 32
    sql(INSERT, *forged.row())
    AuditChain.objects.filter(pk=chain.pk).update(sequence=6, mac=b"x" * 32)
    assert findings() == [f"{chain.pk} record 6: was changed, moved or put in"]


def test_record_put_in_the_middle_is_found(chain):
    for sequence in (5, 4, 3):
        sql(
            "UPDATE keys_auditrecord SET sequence = %s WHERE chain_id = %s AND sequence = %s",
            sequence + 1,
            chain.pk,
            sequence,
        )
    forged = audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR)
    forged.chain_id, forged.sequence, forged.mac = chain.pk, 3, b"x" * 32
    sql(INSERT, *forged.row())
    assert findings()[0] == f"{chain.pk} record 3: was changed, moved or put in"


def test_head_rolled_back_without_the_tail_is_found(chain):
    mac = AuditRecord.objects.get(chain=chain, sequence=3).mac
    AuditChain.objects.filter(pk=chain.pk).update(sequence=3, mac=mac)
    assert findings() == [f"{chain.pk} record 4: stands outside of its chain"]


def roll_back_head(chain: AuditChain) -> None:
    sql("DELETE FROM keys_auditrecord WHERE chain_id = %s AND sequence > 3", chain.pk)
    mac = AuditRecord.objects.get(chain=chain, sequence=3).mac
    AuditChain.objects.filter(pk=chain.pk).update(sequence=3, mac=mac)


def test_tail_cut_together_with_the_head_is_found_by_a_checkpoint(chain):
    signed = checkpoints.read(checkpoints.make())
    roll_back_head(chain)
    assert findings() == []
    assert findings(since=signed) == [f"{chain.pk} record 4: is missing; a checkpoint knows 5 records"]


def test_chain_rewritten_after_a_checkpoint_is_found(chain):
    signed = checkpoints.read(checkpoints.make())
    roll_back_head(chain)
    writer = GroupCommit()
    writer._chain_name = chain.pk
    for _ in range(3):
        decode(writer, "rewritten by somebody with the audit key")
    assert findings() == []
    assert findings(since=signed) == [f"{chain.pk} record 5: is not the one that a checkpoint has signed"]


def test_missing_chain_is_found(chain):
    sql("DELETE FROM keys_auditrecord WHERE chain_id = %s", chain.pk)
    sql("DELETE FROM keys_auditchain WHERE name = %s", chain.pk)
    assert findings() == [f"{chain.pk} record 0: the whole chain is missing"]


def test_missing_management_chain_is_found(chain):
    sql("DELETE FROM keys_auditrecord WHERE chain_id = %s", MANAGEMENT)
    sql("DELETE FROM keys_auditchain WHERE name = %s", MANAGEMENT)
    assert findings() == [f"{MANAGEMENT} record 0: the whole chain is missing"]


def test_chain_made_with_another_key_is_found(chain, settings):
    settings.CODEC_AUDIT_KEY = "ab" * 32
    assert f"{chain.pk} record 0: the chain does not begin at its genesis" in findings()


def test_genesis_belongs_to_its_chain(db):
    assert genesis("a") != genesis("b")


class TestResume:
    def test_only_what_came_after_the_checkpoint_is_read(self, chain):
        signed = checkpoints.read(checkpoints.make())
        sql("UPDATE keys_auditrecord SET reason = 'x' WHERE chain_id = %s AND sequence = 2", chain.pk)
        assert findings(since=signed, resume=True) == []
        assert findings(since=signed) == [f"{chain.pk} record 2: was changed, moved or put in"]

    def test_later_tampering_is_found(self, chain):
        signed = checkpoints.read(checkpoints.make())
        writer = GroupCommit()
        decode(writer, "later")
        sql("UPDATE keys_auditrecord SET reason = 'x' WHERE namespace = 'later'")
        assert len(findings(since=signed, resume=True)) == 1


COLUMNS = ", ".join(field.column for field in AuditRecord._meta.fields)
ROUNDABOUT = {
    "sqlite": [f"INSERT OR REPLACE INTO keys_auditrecord ({COLUMNS}) SELECT {COLUMNS} FROM keys_auditrecord"],
    "postgresql": [
        "SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE keys_auditrecord CASCADE",
        "SET LOCAL session_replication_role = replica; DELETE FROM keys_auditrecord",
        f"INSERT INTO keys_auditrecord ({COLUMNS}) SELECT {COLUMNS} FROM keys_auditrecord "
        "ON CONFLICT (chain_id, sequence) DO UPDATE SET reason = 'x'",
    ],
}


class TestAppendOnly:
    @pytest.fixture
    def record(self, db):
        return stored(audit.record(AuditAction.SESSION_STARTED, actor=OPERATOR))

    STATEMENTS = [
        "UPDATE keys_auditrecord SET reason = 'x'",
        "DELETE FROM keys_auditrecord",
    ]

    @pytest.mark.parametrize("statement", STATEMENTS)
    def test_change_is_refused_by_the_database(self, record, statement):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            sql(statement)
        assert AuditRecord.objects.filter(pk=record.pk, reason="").exists()

    def test_roundabout_way_is_refused(self, record):
        for statement in ROUNDABOUT[connection.vendor]:
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                sql(statement)


class TestCheckpoint:
    def test_checkpoint_carries_every_head(self, chain):
        heads = checkpoints.read(checkpoints.make()).heads
        assert heads.keys() == {MANAGEMENT, chain.pk}
        assert heads[chain.pk].sequence == 5

    @pytest.mark.parametrize(
        "damage", [("5", "4"), ("management", "managemenT"), ('"signature": "', '"signature": "00')]
    )
    def test_damaged_checkpoint_is_refused(self, chain, damage):
        with pytest.raises(checkpoints.CheckpointRefused):
            checkpoints.read(checkpoints.make().replace(*damage))

    def test_checkpoint_of_another_key_is_refused(self, chain, settings):
        line = checkpoints.make()
        settings.CODEC_AUDIT_SIGNING_KEY = "cd" * 32
        with pytest.raises(checkpoints.CheckpointRefused):
            checkpoints.read(line)

    def test_published_checkpoint_is_the_latest(self, chain, settings, tmp_path):
        settings.CODEC_CHECKPOINT_FILE = str(tmp_path / "checkpoints")
        assert checkpoints.latest() is None
        checkpoints.publish()
        decode(GroupCommit(), "more")
        line = checkpoints.publish()
        assert checkpoints.latest() == checkpoints.read(line)
