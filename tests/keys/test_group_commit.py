"""One transaction for whatever waits; committed, or an error in time."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection
from django.db.models import F

from keys import audit, audit_chain, epoch
from keys.audit import AuditAction
from keys.audit_line import AuditLine
from keys.epoch import PolicyMoved
from keys.errors import AuditUnavailable
from keys.group_commit import GroupCommit
from keys.models import AuditChain, AuditRecord, PolicyEpoch
from keys.portions import portion
from keys.verification import Finding, verify
from tests.conftest import OPERATOR


def line(name: str = "payments") -> AuditLine:
    return audit.compose(AuditAction.PAYLOAD_DECODED, actor=OPERATOR, namespace=name)


def written() -> list[str]:
    records = AuditRecord.objects.exclude(chain=audit_chain.MANAGEMENT).order_by("pk")
    return list(records.values_list("namespace", flat=True))


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


@pytest.fixture
def serving(transactional_db) -> Iterator[GroupCommit]:
    """A writer as a serving process has it, with a loop that runs in another thread."""
    loop, writer = asyncio.new_event_loop(), GroupCommit()
    writer.start(loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield writer
    writer.stop()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def in_loop(writer: GroupCommit, *lines: tuple[AuditLine, int | None]) -> list[Exception | None]:
    """Submit the lines in one turn of the loop; return what is said of each."""
    said = [Future() for _ in lines]

    def submit() -> None:
        for (one, number), future in zip(lines, said, strict=True):
            writer.submit(one, number, future.set_result)

    writer._loop.call_soon_threadsafe(submit)
    return [future.result(10) for future in said]


def test_waiting_longer_than_the_deadline_is_an_error(serving, settings, monkeypatch):
    settings.CODEC_AUDIT_SECONDS = 0.05
    monkeypatch.setattr(serving, "_begin", lambda: None)  # nothing is ever written
    with pytest.raises(AuditUnavailable):
        serving.write(line(), None)
    assert [type(error) for error in in_loop(serving, (line(), None), (line(), None))] == [AuditUnavailable] * 2


def test_record_that_gathered_in_vain_is_not_written_later(serving, settings):
    settings.CODEC_AUDIT_SECONDS = 0.05
    serving._is_writing = True  # a commit that does not come back
    assert [type(error) for error in in_loop(serving, (line("late"), None))] == [AuditUnavailable]
    settings.CODEC_AUDIT_SECONDS = 5
    serving._is_writing = False
    serving.write(line("next"), None)
    assert written() == ["next"]


def test_many_threads_write_one_unbroken_chain(serving):
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            for turn in range(10):
                serving.write(line(f"{number}-{turn}"), epoch.read())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(set(written())) == 80
    assert not [result for result in verify() if isinstance(result, Finding)]


def test_what_comes_together_is_committed_together_and_each_is_told_its_own(serving):
    number = epoch.read()
    serving.write(line("first"), None)
    said = in_loop(serving, (line("true"), number), (line("stale"), number - 1), (line("any"), None))
    assert [type(error) for error in said] == [type(None), PolicyMoved, type(None)]
    assert written() == ["first", "true", "any"]
    assert not [result for result in verify() if isinstance(result, Finding)]


def test_one_who_fails_when_told_harms_nobody_else(serving):
    def fail(error: object) -> None:
        raise ZeroDivisionError

    said = Future()

    def submit() -> None:
        serving.submit(line("first"), None, fail)
        serving.submit(line("second"), None, said.set_result)

    serving._loop.call_soon_threadsafe(submit)
    assert said.result(10) is None
    serving.write(line("third"), None)
    assert written() == ["first", "second", "third"]


def test_loop_does_not_wait_for_another_writer_but_the_thread_does(serving):
    serving.write(line("first"), None)
    with portion():
        PolicyEpoch.objects.update(number=F("number"))
        said = Future()
        serving._loop.call_soon_threadsafe(serving.submit, line("second"), None, said.set_result)
        turned = Future()
        serving._loop.call_soon_threadsafe(turned.set_result, True)
        assert turned.result(1)
        if connection.vendor == "sqlite":
            assert not said.done()
    assert said.result(10) is None
    assert written() == ["first", "second"]


def test_failed_commit_tells_all_and_the_next_goes_to_a_new_chain(serving, monkeypatch):
    serving.write(line("first"), None)
    former, broken = serving._chain_name, "commit" if connection.vendor == "sqlite" else "_write"

    def fail(*_: object) -> None:
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(serving._in_loop if connection.vendor == "sqlite" else serving, broken, fail)
        assert [type(error) for error in in_loop(serving, (line(), None))] == [AuditUnavailable]
    if serving._in_loop is not None:
        serving._in_loop.roll_back()
    serving.write(line("next"), None)
    assert written() == ["first", "next"]
    assert serving._chain_name != former


def test_error_that_nobody_foresaw_is_no_commit(db, monkeypatch):
    monkeypatch.setattr(audit_chain, "append", None)
    with pytest.raises(TypeError):
        GroupCommit().write(line(), None)
    assert written() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_died_of_an_error_is_replaced(serving, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(audit_chain, "append", None)
        with pytest.raises(AuditUnavailable):
            serving.write(line(), None)
    serving._thread.join()
    serving.write(line(), None)
    assert written() == ["payments"]
