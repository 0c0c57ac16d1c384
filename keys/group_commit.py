"""Codec requests in flight share one transaction for their audit records, in this process's own chain.

In a serving process all of them pass its event loop: while one batch is committed, the next one gathers. A thread
waits for the database; on SQLite only for COMMIT, because the loop inserts the rows itself where nobody else writes
(ADR 11). Elsewhere (commands, tests) the caller commits its own. The transaction reads the policy epoch first: a
record made under another one is not written, and its request learns that the policy has moved. A request whose
record is not committed in CODEC_AUDIT_SECONDS fails, however long the database may take.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from keys import audit, audit_chain, audit_store, epoch
from keys.actor import operator
from keys.audit_chain import ChainForked, Head
from keys.audit_mould import Line
from keys.audit_store import Execute
from keys.audit_stream import stream
from keys.errors import AuditUnavailable, VaultUnavailable
from keys.loop_connection import LoopConnection
from keys.models import AuditChain

logger = logging.getLogger(__name__)

_ENOUGH = 100  # records, to wait for no more

Then = Callable[[Exception | None], None]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record on its way. `epoch` is the one it is only true under, or None where that does not matter.

    `error` says, once its batch has been written, why it was not.
    """

    line: Line
    epoch: int | None
    then: Then
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class _Batch:
    """Records that are committed together. Who waits is told once: when that is done, or at the deadline."""

    deadline: asyncio.TimerHandle | None = None
    items: list[_Waiting] = field(default_factory=list)
    is_inserted: bool = False
    is_settled: bool = False

    def settle(self, *, late: Exception | None = None) -> None:
        if self.is_settled:
            return
        self.is_settled = True
        if self.deadline is not None:
            self.deadline.cancel()
        for item in self.items:
            try:
                item.then(item.error or late)
            except Exception:
                logger.exception("what waits for an audit record failed")


class GroupCommit:
    """The writer of one chain. One per process; safe to use from any thread."""

    def __init__(self) -> None:
        self._chain_name = f"codec-{uuid.uuid4()}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_loop: LoopConnection | None = None
        self._gathering: _Batch | None = None
        self._is_writing = False
        self._to_commit: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on, write for all from this loop, which is about to run."""
        self._loop = loop
        self._in_loop = LoopConnection() if connection.vendor == "sqlite" else None
        self._start_thread()

    def stop(self) -> None:
        """End the thread, once what it was given is committed, and its connection."""
        if self._thread is not None:
            self._to_commit.put(None)
            self._thread.join()

    def write(self, line: Line, epoch_number: int | None) -> None:
        """Return once the record is committed. Raises PolicyMoved, AuditUnavailable; then it is not written.

        After a time-out it may still be written: the log may say more than happened, never less.
        """
        outcome: Future[Exception | None] = Future()
        if self._loop is None:
            batch = _Batch(items=[_Waiting(line, epoch_number, outcome.set_result)])
            self._commit(batch)
            batch.settle()
        else:
            self._loop.call_soon_threadsafe(self.submit, line, epoch_number, outcome.set_result)
        try:
            error = outcome.result(settings.CODEC_AUDIT_SECONDS)
        except TimeoutError:
            raise _late() from None
        if error is not None:
            raise error

    def submit(self, line: Line, epoch_number: int | None, then: Then) -> None:
        """Do the same in the loop, which goes on meanwhile: `then` is called in it with the error, or None."""
        assert self._loop is not None  # noqa: S101
        if self._gathering is None:
            self._gathering = batch = _Batch()
            batch.deadline = self._loop.call_later(settings.CODEC_AUDIT_SECONDS, self._expire, batch)
            if not self._is_writing:
                self._loop.call_soon(self._begin_when_quiet, 0)
        self._gathering.items.append(_Waiting(line, epoch_number, then))

    def _expire(self, batch: _Batch) -> None:
        if batch is self._gathering:
            self._gathering = None
        batch.settle(late=_late())

    def _begin_when_quiet(self, before: int) -> None:
        """Begin to write once a turn of the loop adds nothing to the batch, which had `before` records until then."""
        size = len(self._gathering.items) if self._gathering else 0
        if before < size < _ENOUGH and self._loop is not None:
            self._loop.call_soon(self._begin_when_quiet, size)
        else:
            self._begin()

    def _begin(self) -> None:
        batch, self._gathering = self._gathering, None
        if batch is None:
            return
        batch.is_inserted = self._insert_in_loop(batch.items)
        self._is_writing = True
        self._to_commit.put(batch)
        if self._thread is None or not self._thread.is_alive():
            self._start_thread()  # an error that nobody foresaw has ended it, and failed its batch

    def _insert_in_loop(self, items: list[_Waiting]) -> bool:
        """Insert the records in a transaction that waits for its COMMIT. False: the thread has to do it all."""
        if self._in_loop is None or not self._in_loop.begin():
            return False
        inserted = False
        try:
            inserted = self._insert(items, self._in_loop.execute)
        except (sqlite3.Error, ChainForked):
            logger.info("the thread writes what the loop could not insert")
        finally:
            if not inserted:
                self._in_loop.roll_back()
        return inserted

    def _done(self, batch: _Batch) -> None:
        self._is_writing = False
        batch.settle()
        if self._gathering is not None:
            self._begin_when_quiet(0)

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._commit_batches, name="audit writer", daemon=True)
        self._thread.start()

    def _commit_batches(self) -> None:
        assert self._loop is not None  # noqa: S101
        try:
            while (batch := self._to_commit.get()) is not None:
                try:
                    self._commit(batch)
                finally:
                    self._loop.call_soon_threadsafe(self._done, batch)
                connection.close_if_unusable_or_obsolete()
        finally:
            connection.close()

    def _commit(self, batch: _Batch) -> None:
        items = batch.items
        try:
            if batch.is_inserted and self._in_loop is not None:
                self._in_loop.commit()
            else:
                self._write(items)
        except (DatabaseError, ChainForked, VaultUnavailable) as error:
            logger.error("%d audit records could not be committed: %s", len(items), type(error).__name__)
            self._chain_name = f"codec-{uuid.uuid4()}"  # whatever became of the old one, nobody writes to it again
            _fail(items)
        except BaseException:
            _fail(items)
            raise
        else:
            stream.put([item.line for item in items if item.error is None])

    def _write(self, items: list[_Waiting]) -> None:
        """Commit the records in a transaction of this thread's."""
        with audit_store.committed():
            inserted = self._insert(items, audit_store.execute)
        if not inserted:
            self._open_chain()
            self._write(items)

    def _insert(self, items: list[_Waiting], execute: Execute) -> bool:
        """Insert the records that are true under the epoch that is in force; note of the others why they are not.

        False, and nothing is inserted, when there is no such chain.
        """
        found = audit_store.read_epoch_and_head(execute, self._chain_name)
        if found is None:
            return False
        number, sequence, mac = found
        for item in items:
            is_true = item.epoch is None or item.epoch == number
            item.error = None if is_true else epoch.PolicyMoved("The policy has changed.")
        current = [item.line for item in items if item.error is None]
        if current:
            audit_chain.append(Head(self._chain_name, sequence, mac), current, execute)
        return True

    def _open_chain(self) -> None:
        """Open this process's chain. Raises VaultUnavailable where it is not the chain that is missing."""
        epoch.read()
        with transaction.atomic():
            open_chain(self._chain_name)


def _late() -> AuditUnavailable:
    return AuditUnavailable("The audit record could not be committed in time.")


def _fail(items: list[_Waiting]) -> None:
    for item in items:
        item.error = AuditUnavailable("The audit record is not committed.")


def open_chain(name: str) -> None:
    """Register a new chain: a row, and a record in the management chain, so that its later absence shows."""
    audit.record(audit.AuditAction.CHAIN_OPENED, actor=operator(), details={"chain": name})
    start = audit_chain.genesis(name)
    AuditChain.objects.create(name=name, opened_at=timezone.now(), mac=start, floor_mac=start)


codec_requests = GroupCommit()
