"""Does the logbook still say what was written? Reads every chain, in bounded memory, and names the first wrong record.

Found by the records alone: an edited field, a missing, added or swapped record, a cut tail (the head knows how
many there were), a chain whose row is gone (the management chain tells of its opening). Found with a checkpoint
only: a tail cut together with its head, and the management chain replaced as a whole.
"""

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from keys import audit_chain
from keys.audit import AuditAction
from keys.checkpoints import Checkpoint
from keys.models import AuditChain, AuditRecord

_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where: the first wrong record of its chain."""

    chain: str
    sequence: int
    what: str

    def __str__(self) -> str:
        return f"{self.chain} record {self.sequence}: {self.what}"


@dataclass(frozen=True, slots=True)
class Progress:
    """So many records of a chain have been read and are right."""

    chain: str
    records: int


def verify(since: Checkpoint | None = None, *, resume: bool = False) -> Iterator[Finding | Progress]:
    """Yield progress, and at most one finding per chain.

    With a checkpoint, its heads must still stand. With `resume` as well, what it covers is not read again.
    """
    for chain in AuditChain.objects.all():
        yield from _verify_chain(chain, since, resume)
    yield from _missing_chains(since)


def _verify_chain(chain: AuditChain, since: Checkpoint | None, resume: bool) -> Iterator[Finding | Progress]:
    sequence, previous = chain.floor_sequence, bytes(chain.floor_mac)
    if sequence == 0 and not hmac.compare_digest(previous, audit_chain.genesis(chain.pk)):
        yield Finding(chain.pk, 0, "the chain does not begin at its genesis")
        return
    known = since.heads.get(chain.pk) if since else None
    if known is not None and known.sequence > sequence:
        if finding := _check_head(chain, known.sequence, known.mac):
            yield finding
            return
        if resume:
            sequence, previous = known.sequence, known.mac
    for record in _records(chain, sequence):
        sequence += 1
        if finding := _check_record(record, sequence, previous):
            yield finding
            return
        previous = bytes(record.mac)
        if sequence % _BATCH == 0:
            yield Progress(chain.pk, sequence)
    if (chain.sequence, bytes(chain.mac)) != (sequence, previous):
        yield Finding(chain.pk, sequence + 1, f"the chain's head says {chain.sequence} records, there are {sequence}")
        return
    yield Progress(chain.pk, sequence)


def _records(chain: AuditChain, after: int) -> Iterable[AuditRecord]:
    """Return the records after `after`, up to the head that was read: a live server goes on writing."""
    records: QuerySet[AuditRecord] = AuditRecord.objects.filter(chain=chain, sequence__gt=after)
    return records.filter(sequence__lte=chain.sequence).order_by("sequence").iterator(_BATCH)


def _check_record(record: AuditRecord, sequence: int, previous: bytes) -> Finding | None:
    if record.sequence != sequence:
        return Finding(record.chain_id, sequence, f"is missing; the next one is {record.sequence}")
    if not hmac.compare_digest(audit_chain.mac(record, previous), bytes(record.mac)):
        return Finding(record.chain_id, sequence, "was changed, moved or put in")
    return None


def _check_head(chain: AuditChain, sequence: int, mac: bytes) -> Finding | None:
    """Compare the record at a checkpointed head with what was signed then."""
    if chain.sequence < sequence:
        return Finding(chain.pk, chain.sequence + 1, f"is missing; a checkpoint knows {sequence} records")
    record = AuditRecord.objects.filter(chain=chain, sequence=sequence).first()
    if record is None or not hmac.compare_digest(bytes(record.mac), mac):
        return Finding(chain.pk, sequence, "is not the one that a checkpoint has signed")
    return None


def _missing_chains(since: Checkpoint | None) -> Iterator[Finding]:
    """Yield the chains that were opened, or stood in the checkpoint, and are not in the register any more."""
    opened = AuditRecord.objects.filter(chain=audit_chain.MANAGEMENT, action=AuditAction.CHAIN_OPENED)
    names = {str(details["chain"]) for details in opened.values_list("details", flat=True).iterator(_BATCH)}
    names |= since.heads.keys() if since else set()
    names.add(audit_chain.MANAGEMENT)
    for name in sorted(names - set(AuditChain.objects.values_list("pk", flat=True))):
        yield Finding(name, 0, "the whole chain is missing")
