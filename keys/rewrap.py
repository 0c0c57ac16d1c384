"""Move the stored data keys under the primary KEK: the same keys, wrapped anew. Nothing that is decoded changes.

The KEKs are asked before a batch's transaction begins, so that a slow KMS holds no lock. In the transaction the rows
are locked, and only those that are still as they were are written, each with its audit record. So the command may be
killed, started again and run twice at once: a row is moved once, or not at all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.errors import VaultUnavailable
from keys.keyring import unwrap, wrap_new
from keys.models import KeyVersion, Namespace
from keys.wrapping import kek

BATCH = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """A key version that could not be moved, and why."""

    namespace: str
    key_id: str
    kek_id: str
    reason: str


@dataclass(slots=True)
class Report:
    """How far a rewrap is: of `total` keys that were not under the KEK `target`, `moved` are now.

    `left` counts, at the end, all that are still not: the failures, and what somebody else held or changed meanwhile.
    """

    target: str
    total: int
    moved: int = 0
    failures: list[Failure] = field(default_factory=list)
    left: int = 0


@dataclass(frozen=True, slots=True)
class _Move:
    version: KeyVersion
    former_kek_id: str
    former_wrapped: bytes = field(repr=False)


def rewrap_keys(
    *,
    actor: Actor,
    namespace: Namespace | None = None,
    batch: int = BATCH,
    tell: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Move every data key that is not destroyed, of one namespace or of all; call `tell` after each committed batch.

    A key that its KEK does not unwrap, or that does not match its check value, stays as it is and is reported.
    Raises VaultUnavailable when the primary KEK fails: then nothing more can be moved. Batches told of are done.
    """
    target = kek().primary_id()
    waiting = _waiting(target, namespace)
    report = Report(target=target, total=waiting.count())
    for versions in _batches(waiting, batch):
        moves = [move for version in versions if (move := _wrapped_anew(version, report.failures))]
        report.moved += _commit(moves, actor)
        tell(report)
    report.left = waiting.count()
    return report


def stored_by_kek() -> dict[str, int]:
    """Return how many stored data keys each KEK wraps. One that is not among them is needed by backups only."""
    found: dict[str, int] = {}
    for kek_id in _stored().order_by("kek_id").values_list("kek_id", flat=True):
        found[kek_id] = found.get(kek_id, 0) + 1
    return found


def _stored() -> QuerySet[KeyVersion]:
    return KeyVersion.objects.exclude(state=KeyVersion.State.DESTROYED)


def _waiting(target: str, namespace: Namespace | None) -> QuerySet[KeyVersion]:
    waiting = _stored().exclude(kek_id=target).select_related("namespace")
    return waiting.filter(namespace=namespace) if namespace else waiting


def _batches(waiting: QuerySet[KeyVersion], size: int) -> Iterator[list[KeyVersion]]:
    last = 0
    while versions := list(waiting.filter(pk__gt=last).order_by("pk")[:size]):
        yield versions
        last = versions[-1].pk


def _wrapped_anew(version: KeyVersion, failures: list[Failure]) -> _Move | None:
    """Wrap the key of `version` under the primary KEK, and unwrap that to see that it is right. Saves nothing."""
    former_kek_id, former_wrapped = version.kek_id, bytes(version.wrapped or b"")
    try:
        data_key = unwrap(version)  # proves the check value
    except VaultUnavailable as error:
        failures.append(Failure(version.namespace.name, version.key_id, former_kek_id, str(error)))
        return None
    wrap_new(version, data_key)
    if unwrap(version) != data_key:
        raise VaultUnavailable(f"The KEK {version.kek_id} does not give back what it wrapped.")
    return _Move(version, former_kek_id, former_wrapped)


@transaction.atomic
def _commit(moves: list[_Move], actor: Actor) -> int:
    """Store what has not changed meanwhile and is not locked by another; return how many."""
    locked = KeyVersion.objects.select_for_update(skip_locked=True).in_bulk([move.version.pk for move in moves])
    done = [move for move in moves if _unchanged(move, locked.get(move.version.pk))]
    for move in done:
        move.version.save(update_fields=["kek_id", "wrapped"])
        audit.record(
            AuditAction.KEY_REWRAPPED,
            actor=actor,
            namespace=move.version.namespace.name,
            details={"key_id": move.version.key_id, "from": move.former_kek_id, "to": move.version.kek_id},
        )
    return len(done)


def _unchanged(move: _Move, row: KeyVersion | None) -> bool:
    return row is not None and (row.kek_id, bytes(row.wrapped or b"")) == (move.former_kek_id, move.former_wrapped)
