"""How far the viewings have come in each chain of the audit.

Each chain is read on from where the last reading stopped, by sequence, so that no record is missed or counted twice
however late it was committed. Chains of the same time are read side by side: a person's requests are spread over them.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from django.db.models import QuerySet

from keys.audit_chain import MANAGEMENT
from keys.models import AuditChain, AuditRecord
from keys.review.grouping import Request
from keys.review.models import ViewingCursor

BATCH = 500  # records of one transaction, which other writers on SQLite have to wait for
_SIDE_BY_SIDE = timedelta(days=1)
_FIELDS = ("sequence", *Request._fields)


def ensure_lock() -> None:
    """Create the row that `lock` needs. Call it outside of a transaction that may fail."""
    ViewingCursor.objects.get_or_create(pk=MANAGEMENT)


def lock() -> None:
    """Until the transaction ends, nobody else changes viewings from the audit."""
    ViewingCursor.objects.select_for_update().get(pk=MANAGEMENT)


def unread() -> dict[str, int]:
    """Return the chains that have records which were not read yet, with the sequence of their heads."""
    read = dict(ViewingCursor.objects.values_list("chain", "sequence"))
    heads = AuditChain.objects.order_by("opened_at", "name").values_list("name", "sequence")
    return {chain: head for chain, head in heads if head > read.get(chain, 0)}


def portions(heads: dict[str, int]) -> Iterator[dict[str, int]]:
    """Yield the chains to read side by side next, those with the oldest unread records, until all heads are reached."""
    due = {chain: at for chain, head in heads.items() if (at := _next_at(chain, head))}
    while due:
        soon = min(due.values()) + _SIDE_BY_SIDE
        chains = {chain: heads[chain] for chain, at in due.items() if at < soon}
        yield chains
        for chain, head in chains.items():
            if at := _next_at(chain, head):
                due[chain] = at
            else:
                del due[chain]


def read_on(heads: dict[str, int]) -> list[Request]:
    """Return the next records of these chains, of all up to about the same time; they count as read from now on.

    Call it under the lock.
    """
    most = max(BATCH // len(heads), 1)
    rows = {
        chain: [(sequence, Request._make(row)) for sequence, *row in _after(chain, head).values_list(*_FIELDS)[:most]]
        for chain, head in heads.items()
    }
    # A chain that has more must not be left behind in time; the one that has come least far is taken in whole.
    ends = [max(request.at for _, request in mine) for mine in rows.values() if len(mine) == most]
    read: list[Request] = []
    for chain, mine in rows.items():
        early = list(takewhile(lambda row: not ends or row[1].at <= min(ends), mine))
        if early:
            ViewingCursor.objects.update_or_create(pk=chain, defaults={"sequence": early[-1][0]})
        read += [request for _, request in early]
    return read


def forget() -> None:
    """Read everything again from the beginning. Call it under the lock."""
    ViewingCursor.objects.exclude(pk=MANAGEMENT).delete()
    ViewingCursor.objects.update(sequence=0)


def _next_at(chain: str, head: int) -> datetime | None:
    return _after(chain, head).values_list("at", flat=True).first()


def _after(chain: str, head: int) -> QuerySet[AuditRecord]:
    """Return the unread records, in the order of the chain."""
    read = ViewingCursor.objects.filter(pk=chain).values_list("sequence", flat=True).first() or 0
    return AuditRecord.objects.filter(chain_id=chain, sequence__gt=read, sequence__lte=head).order_by("sequence")
