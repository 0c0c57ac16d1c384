"""Codec requests in flight share one transaction for their audit records: this process's own chain.

Whoever finds nobody committing commits everything that waits, its own record among it; meanwhile the next batch
gathers. The transaction reads the policy epoch first: a record made under another one is not written, and its
request learns that the policy has moved. A request whose record is not committed in CODEC_AUDIT_SECONDS fails.
"""

import threading
import time
import uuid
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from keys import audit_chain, epoch
from keys.audit_chain import ChainForked
from keys.audit_stream import stream
from keys.errors import AuditUnavailable, VaultUnavailable
from keys.models import AuditChain, AuditRecord

_MAX_BATCH = 200


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record on its way. `epoch` is the one it is only true under, or None where that does not matter."""

    record: AuditRecord
    epoch: int | None
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class GroupCommit:
    """The writer of one chain. One per process; safe to use from any thread."""

    def __init__(self) -> None:
        self._queue: list[_Waiting] = []
        self._queue_lock = threading.Lock()
        self._leader = threading.Lock()
        self._chain_name = f"codec-{uuid.uuid4()}"

    def write(self, record: AuditRecord, epoch_number: int | None) -> None:
        """Return once the record is committed. Raises PolicyMoved, AuditUnavailable; then it is not written.

        After a time-out it may still be written: the log may say more than happened, never less.
        """
        mine = _Waiting(record, epoch_number)
        deadline = time.monotonic() + settings.CODEC_AUDIT_SECONDS
        with self._queue_lock:
            self._queue.append(mine)
        while not mine.done.is_set():
            if not self._leader.acquire(timeout=max(deadline - time.monotonic(), 0)):
                raise AuditUnavailable("The audit record could not be committed in time.")
            try:
                if not mine.done.is_set():
                    self._commit(self._take())
            finally:
                self._leader.release()
        if mine.error is not None:
            raise mine.error

    def _take(self) -> list[_Waiting]:
        with self._queue_lock:
            batch, self._queue = self._queue[:_MAX_BATCH], self._queue[_MAX_BATCH:]
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with transaction.atomic():
                number = epoch.read()
                current = [item for item in batch if item.epoch in {None, number}]
                audit_chain.append(self._chain(), [item.record for item in current])
        except (DatabaseError, ChainForked, VaultUnavailable) as error:
            self._fail(batch, error)
        else:
            stream.put([item.record for item in current])
            for item in batch:
                if item not in current:
                    item.error = epoch.PolicyMoved("The policy has changed.")
        finally:
            for item in batch:
                item.done.set()

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        self._chain_name = f"codec-{uuid.uuid4()}"  # whatever became of the old one, nothing more is written to it
        for item in batch:
            item.error = AuditUnavailable("The audit record could not be committed.")
            item.error.__cause__ = error

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
