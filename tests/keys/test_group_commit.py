"""One transaction for whatever waits; committed, or an error in time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from keys import audit, audit_chain, epoch
from keys.audit import AuditAction
from keys.epoch import PolicyMoved
from keys.errors import AuditUnavailable
from keys.group_commit import GroupCommit
from keys.models import AuditChain, AuditRecord, PolicyEpoch
from keys.verification import Finding, verify
from tests.conftest import OPERATOR


def line(name: str = "payments") -> AuditRecord:
    return audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR, namespace=name)


def written() -> list[str]:
    return list(AuditRecord.objects.exclude(chain=audit_chain.MANAGEMENT).values_list("namespace", flat=True))


def test_record_is_committed_to_the_process_chain(db):
    GroupCommit().write(line(), epoch.read())
    assert written() == ["payments"]


def test_opening_of_the_chain_stands_in_the_management_chain(db):
    GroupCommit().write(line(), None)
    opened = AuditRecord.objects.get(action=AuditAction.CHAIN_OPENED)
    assert AuditChain.objects.filter(pk=opened.details["chain"]).exists()


def test_record_of_an_older_epoch_is_not_written(db):
    with pytest.raises(PolicyMoved):
        GroupCommit().write(line(), epoch.read() - 1)
    assert written() == []


def test_refusal_is_written_under_any_epoch(db):
    GroupCommit().write(line(), None)
    assert written() == ["payments"]


def test_missing_epoch_is_an_error(db):
    PolicyEpoch.objects.all().delete()
    with pytest.raises(AuditUnavailable):
        GroupCommit().write(line(), 1)


def test_unwritable_table_is_an_error_and_the_next_record_goes_to_a_new_chain(audit_unwritable):
    writer = GroupCommit()
    former = writer._chain_name
    with pytest.raises(AuditUnavailable):
        writer.write(line(), None)
    assert writer._chain_name != former


def test_second_writer_of_a_chain_is_found_out(db):
    writer = GroupCommit()
    writer.write(line(), None)
    stale = audit_chain.Head(writer._chain_name, 7, b"x" * 32)
    with pytest.raises(audit_chain.ChainForked):
        audit_chain.append(stale, [line()])


def test_waiting_longer_than_the_deadline_is_an_error(db, settings):
    settings.CODEC_AUDIT_SECONDS = 0.05
    writer = GroupCommit()
    writer._thread = threading.current_thread()  # which writes nothing
    with pytest.raises(AuditUnavailable):
        writer.write(line(), None)


def test_many_threads_write_one_unbroken_chain(transactional_db):
    writer, start = GroupCommit(), threading.Barrier(8)
    writer.start()

    def write(number: int) -> None:
        start.wait()
        try:
            for turn in range(10):
                writer.write(line(f"{number}-{turn}"), epoch.read())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    writer.stop()
    assert len(set(written())) == 80
    assert not [result for result in verify() if isinstance(result, Finding)]


def test_error_that_nobody_foresaw_is_no_commit(db, monkeypatch):
    monkeypatch.setattr(audit_chain, "append", None)
    with pytest.raises(TypeError):
        GroupCommit().write(line(), None)
    assert written() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_died_of_an_error_is_replaced(transactional_db, monkeypatch):
    writer, append = GroupCommit(), audit_chain.append
    writer.start()
    monkeypatch.setattr(audit_chain, "append", None)
    with pytest.raises(AuditUnavailable):
        writer.write(line(), None)
    monkeypatch.setattr(audit_chain, "append", append)
    writer._thread.join()
    writer.write(line(), None)
    writer.stop()
    assert written() == ["payments"]
