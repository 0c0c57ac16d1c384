"""The index finds what the records hold: filled in part, wholly, twice, or not at all."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys import append_only, audit, fingerprint_index
from keys.audit import AuditAction
from keys.audit_chain import MANAGEMENT
from keys.group_commit import GroupCommit
from keys.models import AuditChain, AuditRecord, FingerprintCursor, FingerprintEntry
from tests.commands import manage
from tests.conftest import OPERATOR

A, B, C = (letter * 16 for letter in (b"a", b"b", b"c"))


def write(writer: GroupCommit, *fingerprints: bytes) -> None:
    line = audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR, namespace="payments")
    line.fingerprints = b"".join(fingerprints)
    writer.write(line, None)


def found(*wanted: bytes) -> list[tuple[int, set[bytes]]]:
    return [(record.sequence, held) for record, held in fingerprint_index.find(set(wanted))]


@pytest.fixture
def writer(db) -> GroupCommit:
    """The chain of a server: record 1 holds A twice and B, record 2 nothing, record 3 A."""
    writer = GroupCommit()
    write(writer, A, B, A)
    write(writer)
    write(writer, A)
    return writer


def test_records_are_found_before_they_are_indexed(writer):
    assert found(A) == [(1, {A}), (3, {A})]
    assert not FingerprintEntry.objects.exists()


def test_records_are_found_when_they_are_indexed(writer):
    fingerprint_index.refresh()
    assert FingerprintEntry.objects.count() == 3
    assert found(A, C) == [(1, {A}), (3, {A})]
    assert found(A, B) == [(1, {A, B}), (3, {A})]


def test_records_are_found_when_some_are_indexed(writer):
    fingerprint_index.refresh()
    write(writer, C, B)
    assert found(B) == [(1, {B}), (4, {B})]


def test_nobody_is_found_for_what_was_never_opened(writer):
    fingerprint_index.refresh()
    assert found(C) == []


def test_nothing_wanted_is_nothing_found(writer):
    assert found() == []


def test_records_of_several_servers_are_found(writer):
    write(GroupCommit(), A)
    fingerprint_index.refresh()
    write(GroupCommit(), A)
    assert [sequence for sequence, _ in found(A)] == [1, 3, 1, 1]


def test_second_refresh_reads_nothing(writer):
    fingerprint_index.refresh()
    assert fingerprint_index.refresh() == 0


def test_index_is_filled_in_portions(writer, monkeypatch):
    monkeypatch.setattr(fingerprint_index, "_ENTRIES", 1)
    monkeypatch.setattr(fingerprint_index, "_IDS", 1)
    assert fingerprint_index.refresh() == AuditRecord.objects.count()
    assert found(A, B) == [(1, {A, B}), (3, {A})]


def test_rebuilt_index_is_the_same(writer):
    fingerprint_index.refresh()
    before = set(FingerprintEntry.objects.values_list("fingerprint", "record_id"))
    assert manage("rebuild_fingerprint_index") == f"Read {AuditRecord.objects.count()} audit records.\n"
    assert set(FingerprintEntry.objects.values_list("fingerprint", "record_id")) == before


def test_rebuilding_mends_an_index_that_was_tampered_with(writer):
    fingerprint_index.refresh()
    FingerprintEntry.objects.all().delete()
    assert found(A) == []
    manage("rebuild_fingerprint_index")
    assert found(A) == [(1, {A}), (3, {A})]


def test_index_accuses_nobody_whose_record_says_otherwise(writer):
    fingerprint_index.refresh()
    nothing = AuditRecord.objects.get(chain__name=writer._chain_name, sequence=2)
    FingerprintEntry.objects.create(fingerprint=A, record_id=nothing.pk)
    assert found(A) == [(1, {A}), (3, {A})]


def test_entries_of_dropped_records_are_removed(writer):
    fingerprint_index.refresh()
    with connection.cursor() as cursor:
        for statement in append_only.lift_statements(connection.vendor):
            cursor.execute(statement)
        cursor.execute("DELETE FROM keys_auditrecord WHERE sequence = 1 AND chain_id <> %s", [MANAGEMENT])
    fingerprint_index.drop_dangling()
    assert FingerprintEntry.objects.count() == 1
    assert found(A) == [(3, {A})]


def test_chain_without_records_is_no_work(db):
    fingerprint_index.refresh()
    assert FingerprintCursor.objects.count() == AuditChain.objects.exclude(sequence=0).count()


def test_transaction_does_not_read_the_whole_rest_of_a_chain(writer):
    with CaptureQueriesContext(connection) as asked:
        fingerprint_index.refresh()
    reading = [query["sql"] for query in asked if 'FROM "keys_auditrecord"' in query["sql"]]
    assert reading
    assert all("LIMIT" in sql for sql in reading)
