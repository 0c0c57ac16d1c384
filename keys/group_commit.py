"""Codec requests in flight share one transaction for their audit records, in this process's own chain.

In a serving process one thread writes them: while it commits a batch, the next one gathers. Elsewhere (commands,
tests) the caller commits its own. The transaction reads the policy epoch first: a record made under another one
is not written, and its request learns that the policy has moved. A request whose record is not committed in
CODEC_AUDIT_SECONDS fails, however long the database may take.
"""

import logging
import queue
import threading
import uuid
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from keys import audit_chain, epoch
from keys.audit_chain import ChainForked
from keys.audit_stream import stream
from keys.errors import AuditUnavailable, VaultUnavailable
from keys.models import AuditChain, AuditRecord

logger = logging.getLogger(__name__)

_MAX_BATCH = 200


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record on its way: an error until it is committed.

    `epoch` is the one it is only true under, or None where that does not matter.
    """

    record: AuditRecord
    epoch: int | None
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = field(default_factory=lambda: AuditUnavailable("The audit record is not committed."))


class GroupCommit:
    """The writer of one chain. One per process; safe to use from any thread."""

    def __init__(self) -> None:
        self._chain_name = f"codec-{uuid.uuid4()}"
        self._queue: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """From now on, one thread writes for all."""
        self._thread = threading.Thread(target=self._write_batches, name="audit writer", daemon=True)
        self._thread.start()

    def write(self, record: AuditRecord, epoch_number: int | None) -> None:
        """Return once the record is committed. Raises PolicyMoved, AuditUnavailable; then it is not written.

        After a time-out it may still be written: the log may say more than happened, never less.
        """
        mine = _Waiting(record, epoch_number)
        if self._thread is None:
            self._commit([mine])
        else:
            self._queue.put(mine)
            self._revive()
        if not mine.done.wait(settings.CODEC_AUDIT_SECONDS):
            raise AuditUnavailable("The audit record could not be committed in time.")
        if mine.error is not None:
            raise mine.error

    def _revive(self) -> None:
        """An error that nobody foresaw ends the thread and fails its batch; the next request starts another."""
        if self._thread is not None and not self._thread.is_alive():
            self.start()

    def _write_batches(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            self._commit(batch)

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with transaction.atomic():
                number = epoch.read()
                current = [item for item in batch if item.epoch in {None, number}]
                audit_chain.append(self._chain(), [item.record for item in current])
        except (DatabaseError, ChainForked, VaultUnavailable) as error:
            logger.error("%d audit records could not be committed: %s", len(batch), type(error).__name__)
            self._chain_name = f"codec-{uuid.uuid4()}"  # whatever became of the old one, nobody writes to it again
            connection.close_if_unusable_or_obsolete()
        else:
            stream.put([item.record for item in current])
            for item in batch:
                item.error = None if item in current else epoch.PolicyMoved("The policy has changed.")
        finally:
            for item in batch:
                item.done.set()

    def _chain(self) -> AuditChain:
        """Return this process's chain; the first time, open it, which stands in the management chain."""
        return AuditChain.objects.filter(pk=self._chain_name).first() or open_chain(self._chain_name)


def open_chain(name: str) -> AuditChain:
    """Register a new chain: a row, and a record in the management chain, so that its later absence shows."""
    from keys import audit
    from keys.actor import operator

    audit.record(audit.AuditAction.CHAIN_OPENED, actor=operator(), details={"chain": name})
    start = audit_chain.genesis(name)
    return AuditChain.objects.create(name=name, opened_at=timezone.now(), mac=start, floor_mac=start)


codec_requests = GroupCommit()
