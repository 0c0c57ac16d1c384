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
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from keys import audit, audit_chain, epoch
from keys.actor import operator
from keys.audit_chain import ChainForked, Head
from keys.audit_line import AuditLine
from keys.audit_stream import stream
from keys.errors import AuditUnavailable, VaultUnavailable
from keys.models import AuditChain

logger = logging.getLogger(__name__)

_MAX_BATCH = 200


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record on its way: an error until it is committed.

    `epoch` is the one it is only true under, or None where that does not matter.
    """

    line: AuditLine
    epoch: int | None
    error: Exception | None = field(default_factory=lambda: AuditUnavailable("The audit record is not committed."))


@dataclass(slots=True, eq=False)
class _WaitingThread(_Waiting):
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, eq=False, kw_only=True)
class _WaitingTask(_Waiting):
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class GroupCommit:
    """The writer of one chain. One per process; safe to use from any thread."""

    def __init__(self) -> None:
        self._chain_name = f"codec-{uuid.uuid4()}"
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

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
        mine = _WaitingThread(line, epoch_number)
        if self._thread is None:
            self._commit([mine])
        else:
            self._queue.put(mine)
            self._revive()
        if not mine.done.wait(settings.CODEC_AUDIT_SECONDS):
            raise AuditUnavailable("The audit record could not be committed in time.")
        if mine.error is not None:
            raise mine.error

    async def write_from_loop(self, line: AuditLine, epoch_number: int) -> None:
        """Do the same for a task of an event loop, which goes on with others meanwhile. Needs the thread."""
        loop = asyncio.get_running_loop()
        mine = _WaitingTask(line, epoch_number, loop=loop, done=loop.create_future())
        self._queue.put(mine)
        self._revive()
        deadline = loop.call_later(settings.CODEC_AUDIT_SECONDS, mine.finish)
        await mine.done
        deadline.cancel()
        if mine.error is not None:
            raise mine.error

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

    def _gather(self, first: _Waiting) -> list[_Waiting]:
        batch = [first]
        while len(batch) < _MAX_BATCH and not self._queue.empty():
            if (item := self._queue.get()) is None:
                self._queue.put(None)  # the end comes after this batch
                break
            batch.append(item)
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with transaction.atomic():
                number, head = self._read_epoch_and_head()
                current = [item for item in batch if item.epoch is None or item.epoch == number]
                if current:
                    audit_chain.append(head, [item.line for item in current])
        except (DatabaseError, ChainForked, VaultUnavailable) as error:
            logger.error("%d audit records could not be committed: %s", len(batch), type(error).__name__)
            self._chain_name = f"codec-{uuid.uuid4()}"  # whatever became of the old one, nobody writes to it again
        else:
            stream.put([item.line for item in current])
            for item in batch:
                is_current = item.epoch is None or item.epoch == number
                item.error = None if is_current else epoch.PolicyMoved("The policy has changed.")
        finally:
            _wake(batch)

    def _read_epoch_and_head(self) -> tuple[int, Head]:
        """Return both by one statement. The first time, open this process's chain."""
        with connection.cursor() as cursor:
            cursor.execute(_READ, [self._chain_name])
            row = cursor.fetchone()
        if row is None:
            number = epoch.read()
            open_chain(self._chain_name)
            return number, Head(self._chain_name, 0, audit_chain.genesis(self._chain_name))
        return row[0], Head(self._chain_name, row[1], bytes(row[2]))


def _wake(batch: list[_Waiting]) -> None:
    """Let threads and tasks go on; all tasks of a loop by one call into it."""
    tasks: dict[asyncio.AbstractEventLoop, list[_WaitingTask]] = {}
    for item in batch:
        if isinstance(item, _WaitingThread):
            item.done.set()
        elif isinstance(item, _WaitingTask):
            tasks.setdefault(item.loop, []).append(item)
    for loop, waiting in tasks.items():
        loop.call_soon_threadsafe(_finish, waiting)


def _finish(waiting: list[_WaitingTask]) -> None:
    for item in waiting:
        item.finish()


_READ = (
    "SELECT keys_policyepoch.number, keys_auditchain.sequence, keys_auditchain.mac "
    "FROM keys_policyepoch, keys_auditchain WHERE keys_auditchain.name = %s"
)


def open_chain(name: str) -> None:
    """Register a new chain: a row, and a record in the management chain, so that its later absence shows."""
    audit.record(audit.AuditAction.CHAIN_OPENED, actor=operator(), details={"chain": name})
    start = audit_chain.genesis(name)
    AuditChain.objects.create(name=name, opened_at=timezone.now(), mac=start, floor_mac=start)


codec_requests = GroupCommit()
