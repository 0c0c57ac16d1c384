"""Does the logbook still say what was written? Reads every chain, in bounded memory, and names the first wrong record.

Found by the records alone: an edited field, a missing, added or swapped record, a cut tail (the head knows how
many there were), a beginning that retention has not dropped, a chain whose row is gone (the management chain tells of
its opening, or of how many there were when retention dropped that). Found with a checkpoint only: a tail cut together
with its head, and the management chain replaced as a whole.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet

from keys import audit_chain
from keys.audit import AuditAction
from keys.audit_canonical import canonical
from keys.checkpoints import Checkpoint, Head
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
    """Yield progress, and the first finding of each chain, and of each kind.

    With a checkpoint, its heads must still stand. With `resume` as well, what it covers is not read again.
    """
    for name in AuditChain.objects.values_list("pk", flat=True):
        yield from _verify_at_rest(name, since, resume)
    yield from strangers()
    yield from missing_chains(since)


def _verify_at_rest(name: str, since: Checkpoint | None, resume: bool) -> Iterator[Finding | Progress]:
    """Verify a chain; begin again where retention has dropped records meanwhile."""
    chain = AuditChain.objects.get(pk=name)
    for result in _verify_chain(chain, since, resume):
        if isinstance(result, Finding) and not _still_stands(chain):
            yield from _verify_at_rest(name, since, resume)
            return
        yield result


def _still_stands(chain: AuditChain) -> bool:
    return AuditChain.objects.filter(pk=chain.pk, floor_sequence=chain.floor_sequence).exists()


def _verify_chain(chain: AuditChain, since: Checkpoint | None, resume: bool) -> Iterator[Finding | Progress]:
    sequence, previous = chain.floor_sequence, bytes(chain.floor_mac)
    known = since.heads.get(chain.pk) if since else None
    finding = check_floor(chain) or _check_head(chain, known)
    if finding:
        yield finding
        return
    if known is not None and resume and known.sequence > sequence:
        sequence, previous = known.sequence, known.mac
    for record in _records(chain, sequence):
        sequence += 1
        if finding := check_record(record, sequence, previous):
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


def check_record(record: AuditRecord, sequence: int, previous: bytes) -> Finding | None:
    if record.sequence != sequence:
        return Finding(record.chain_id, sequence, f"is missing; the next one is {record.sequence}")
    if not hmac.compare_digest(audit_chain.mac(canonical(record), previous), bytes(record.mac)):
        return Finding(record.chain_id, sequence, "was changed, moved or put in")
    return None


def check_floor(chain: AuditChain) -> Finding | None:
    """Look where the chain begins: at its genesis, or where retention says that it does."""
    sequence, mac = chain.floor_sequence, bytes(chain.floor_mac)
    if sequence == 0:
        begins = hmac.compare_digest(mac, audit_chain.genesis(chain.pk))
        return None if begins else Finding(chain.pk, 0, "the chain does not begin at its genesis")
    sealed = hmac.compare_digest(bytes(chain.floor_seal), audit_chain.floor_seal(chain.pk, sequence, mac))
    return None if sealed else Finding(chain.pk, sequence, "the chain does not begin where retention has cut it")


def _check_head(chain: AuditChain, known: Head | None) -> Finding | None:
    """Compare the record at a checkpointed head with what was signed then, unless retention has dropped it since."""
    if known is None or known.sequence < chain.floor_sequence:
        return None
    if chain.sequence < known.sequence:
        return Finding(chain.pk, chain.sequence + 1, f"is missing; a checkpoint knows {known.sequence} records")
    if not hmac.compare_digest(_mac_at(chain, known.sequence), known.mac):
        return Finding(chain.pk, known.sequence, "is not the one that a checkpoint has signed")
    return None


def _mac_at(chain: AuditChain, sequence: int) -> bytes:
    if sequence == chain.floor_sequence:
        return bytes(chain.floor_mac)
    record = AuditRecord.objects.filter(chain=chain, sequence=sequence).first()
    return bytes(record.mac) if record else b""


def strangers() -> Iterator[Finding]:
    """Yield records that stand where none can be: in no chain, before its beginning, or after its head."""
    chains = AuditChain.objects.values_list("pk", flat=True)
    orphans = AuditRecord.objects.order_by().exclude(chain__in=chains.order_by())
    for name in orphans.values_list("chain_id", flat=True).distinct():
        yield Finding(name, 0, "there are records of a chain that is not in the register")
    for name in chains:
        of_chain = AuditRecord.objects.filter(chain=name).order_by("sequence").values_list("sequence", flat=True)
        for beyond in (Q(sequence__lte=F("chain__floor_sequence")), Q(sequence__gt=F("chain__sequence"))):
            for sequence in of_chain.filter(beyond)[:1]:
                yield Finding(name, sequence, "stands outside of its chain")


def register() -> dict[str, Any]:
    """Return what retention writes down of the register of chains: how many there are, and a hash of their names."""
    return _summary(set(AuditChain.objects.values_list("pk", flat=True)))


def _summary(names: set[str]) -> dict[str, Any]:
    return {"chains": len(names), "sha256": hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()}


def missing_chains(since: Checkpoint | None = None) -> Iterator[Finding]:
    """Yield the chains that were opened, or stood in the checkpoint, and are not in the register any more."""
    present = set(AuditChain.objects.values_list("pk", flat=True))
    known = _opened_after(0) | {audit_chain.MANAGEMENT} | (since.heads.keys() if since else set())
    for name in sorted(known - present):
        yield Finding(name, 0, "the whole chain is missing")
    yield from _fewer_than_retired(present)


def _fewer_than_retired(present: set[str]) -> Iterator[Finding]:
    """Yield a finding if the register lacks a chain that it had when retention dropped the record of its opening."""
    retirements = AuditRecord.objects.filter(chain=audit_chain.MANAGEMENT, action=AuditAction.AUDIT_RETIRED)
    last = retirements.order_by("-sequence").first()
    if last is None:
        return
    found, expected = _summary(present - _opened_after(last.sequence)), last.details["register"]
    if found != expected:
        counts = f"{expected['chains']} chains before it, there are {found['chains']}"
        yield Finding(last.chain_id, last.sequence, f"tells of {counts}, or others")


def _opened_after(sequence: int) -> set[str]:
    opened = AuditRecord.objects.filter(
        chain=audit_chain.MANAGEMENT, action=AuditAction.CHAIN_OPENED, sequence__gt=sequence
    )
    return {str(details["chain"]) for details in opened.values_list("details", flat=True).iterator(_BATCH)}
