"""Codec requests in flight share one transaction for their audit records, in this process's own chain.

In a serving process one thread writes them: while it commits a batch, the next one gathers. Elsewhere (commands,
tests) the caller commits its own. The transaction reads the policy epoch first: a record made under another one
is not written, and its request learns that the policy has moved. A request whose record is not committed in
CODEC_AUDIT_SECONDS fails, however long the database may take.
"""

import asyncio
import logging
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from keys import audit, audit_chain, audit_store, epoch
from keys.actor import operator
from keys.audit_chain import ChainForked, Head
from keys.audit_line import AuditLine
from keys.audit_stream import stream
from keys.errors import AuditUnavailable, VaultUnavailable
from keys.models import AuditChain

logger = logging.getLogger(__name__)

_ENOUGH = 200  # records for one transaction


Then = Callable[[Exception | None], None]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record on its way. `epoch` is the one it is only true under, or None where that does not matter.

    `error` says, once the writer has had it, why it is not committed.
    """

    line: AuditLine
    epoch: int | None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class _Batch:
    """Records that came together: those of one thread, or of one turn of an event loop.

    `is_settled` becomes true once, by the writer or, in a loop, by the deadline.
    """

    items: list[_Waiting]
    is_settled: bool = False

    def settle(self) -> None:
        """Tell who waits, from the writer's thread."""
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class _ThreadBatch(_Batch):
    done: threading.Event = field(default_factory=threading.Event)

    def settle(self) -> None:
        self.is_settled = True
        self.done.set()


@dataclass(slots=True, eq=False, kw_only=True)
class _LoopBatch(_Batch):
    loop: asyncio.AbstractEventLoop
    thens: list[Then] = field(default_factory=list)
    deadline: asyncio.TimerHandle | None = None

    def add(self, line: AuditLine, epoch: int, then: Then) -> None:
        self.items.append(_Waiting(line, epoch))
        self.thens.append(then)

    def settle(self) -> None:
        self.loop.call_soon_threadsafe(self.tell)

    def tell(self) -> None:
        """Call back, in the loop."""
        if self.is_settled:
            return
        self.is_settled = True
        if self.deadline is not None:
            self.deadline.cancel()
        for item, then in zip(self.items, self.thens, strict=True):
            then(item.error)

    def expire(self) -> None:
        for item in self.items:
            item.error = item.error or AuditUnavailable("The audit record could not be committed in time.")
        self.tell()


class GroupCommit:
    """The writer of one chain. One per process; safe to use from any thread."""

    def __init__(self) -> None:
        self._chain_name = f"codec-{uuid.uuid4()}"
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._gathering: _LoopBatch | None = None

    def start(self) -> None:
        """From now on, one thread writes for all."""
        self._thread = threading.Thread(target=self._write_batches, name="audit writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, once what waits is written, and its connection."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def write(self, line: AuditLine, epoch_number: int | None) -> None:
        """Return once the record is committed. Raises PolicyMoved, AuditUnavailable; then it is not written.

        After a time-out it may still be written: the log may say more than happened, never less.
        """
        mine = _Waiting(line, epoch_number)
        batch = _ThreadBatch([mine])
        if self._thread is None:
            self._commit([batch])
        else:
            self._queue.put(batch)
            self._revive()
        if not batch.done.wait(settings.CODEC_AUDIT_SECONDS):
            raise AuditUnavailable("The audit record could not be committed in time.")
        if mine.error is not None:
            raise mine.error

    def submit(self, line: AuditLine, epoch_number: int, then: Then) -> None:
        """Do the same for an event loop, which goes on meanwhile: `then` is called in it with the error, or None.

        What one turn of the loop submits goes to the writer together. Needs the thread; one loop only.
        """
        if self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = _LoopBatch([], loop=loop)
            loop.call_soon(self._hand_over)
        self._gathering.add(line, epoch_number, then)

    def _hand_over(self) -> None:
        batch, self._gathering = self._gathering, None
        assert batch is not None  # noqa: S101
        batch.deadline = batch.loop.call_later(settings.CODEC_AUDIT_SECONDS, batch.expire)
        self._queue.put(batch)
        self._revive()

    def _revive(self) -> None:
        """An error that nobody foresaw ends the thread and fails its batch; the next request starts another."""
        if self._thread is not None and not self._thread.is_alive():
            self.start()

    def _write_batches(self) -> None:
        try:
            while (first := self._queue.get()) is not None:
                self._commit(self._gather(first))
                connection.close_if_unusable_or_obsolete()
        finally:
            connection.close()

    def _gather(self, first: _Batch) -> list[_Batch]:
        batches, size = [first], len(first.items)
        while size < _ENOUGH and not self._queue.empty():
            if (batch := self._queue.get()) is None:
                self._queue.put(None)  # the end comes after these
                break
            batches.append(batch)
            size += len(batch.items)
        return batches

    def _commit(self, batches: list[_Batch]) -> None:
        items = [item for batch in batches for item in batch.items]
        try:
            self._write(items)
        except (DatabaseError, ChainForked, VaultUnavailable) as error:
            logger.error("%d audit records could not be committed: %s", len(items), type(error).__name__)
            self._chain_name = f"codec-{uuid.uuid4()}"  # whatever became of the old one, nobody writes to it again
            _fail(items)
        except BaseException:
            _fail(items)
            raise
        finally:
            for batch in batches:
                batch.settle()

    def _write(self, items: list[_Waiting]) -> None:
        """Commit the records that are true under the epoch that is in force; note of the others why they are not."""
        with audit_store.committed():
            found = audit_store.read_epoch_and_head(self._chain_name)
            if found is not None:
                number, sequence, mac = found
                current = [item.line for item in items if item.epoch is None or item.epoch == number]
                if current:
                    audit_chain.append(Head(self._chain_name, sequence, mac), current)
        if found is None:
            self._open_chain()
            self._write(items)
            return
        stream.put(current)
        if len(current) < len(items):
            for item in items:
                if item.epoch is not None and item.epoch != number:
                    item.error = epoch.PolicyMoved("The policy has changed.")

    def _open_chain(self) -> None:
        """Open this process's chain. Raises VaultUnavailable where it is not the chain that is missing."""
        epoch.read()
        with transaction.atomic():
            open_chain(self._chain_name)


def _fail(items: list[_Waiting]) -> None:
    for item in items:
        item.error = AuditUnavailable("The audit record is not committed.")


def open_chain(name: str) -> None:
    """Register a new chain: a row, and a record in the management chain, so that its later absence shows."""
    audit.record(audit.AuditAction.CHAIN_OPENED, actor=operator(), details={"chain": name})
    start = audit_chain.genesis(name)
    AuditChain.objects.create(name=name, opened_at=timezone.now(), mac=start, floor_mac=start)


codec_requests = GroupCommit()
