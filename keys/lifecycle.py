"""The life of a key version after it is made: which state follows which, and by whose verb.

    ENABLED ──disable──► DISABLED ──enable──► ENABLED
    ENABLED, DISABLED ──schedule destruction──► DESTROY_SCHEDULED ──cancel──► DISABLED
    DESTROY_SCHEDULED ──its day has come──► DESTROYED

The states are those of Google Cloud KMS. The primary stays ENABLED: another version must be promoted first.
Only ENABLED decrypts. DESTROYED keeps its row, without material, so that its id is never used again.
Every verb runs in one transaction with its audit record and takes effect with the next request everywhere.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.utils import timezone

from keys import audit, usage
from keys.actor import Actor
from keys.audit import AuditAction
from keys.errors import StillNeeded, TransitionRefused
from keys.models import KeyVersion, Namespace
from keys.names import key_id_digest
from keys.reasons import required

State = KeyVersion.State

DEFAULT_WAIT_DAYS = 30
SHORTEST_WAIT_DAYS = 7


class Verb(StrEnum):
    DISABLE = "disable"
    ENABLE = "enable"
    SCHEDULE_DESTRUCTION = "schedule_destruction"
    CANCEL_DESTRUCTION = "cancel_destruction"
    DESTROY = "destroy"


TRANSITIONS: dict[tuple[str, Verb], State] = {
    (State.ENABLED, Verb.DISABLE): State.DISABLED,
    (State.DISABLED, Verb.ENABLE): State.ENABLED,
    (State.ENABLED, Verb.SCHEDULE_DESTRUCTION): State.DESTROY_SCHEDULED,
    (State.DISABLED, Verb.SCHEDULE_DESTRUCTION): State.DESTROY_SCHEDULED,
    (State.DESTROY_SCHEDULED, Verb.CANCEL_DESTRUCTION): State.DISABLED,
    (State.DESTROY_SCHEDULED, Verb.DESTROY): State.DESTROYED,
}
ACTIONS = {
    Verb.DISABLE: AuditAction.KEY_DISABLED,
    Verb.ENABLE: AuditAction.KEY_ENABLED,
    Verb.SCHEDULE_DESTRUCTION: AuditAction.KEY_DESTRUCTION_SCHEDULED,
    Verb.CANCEL_DESTRUCTION: AuditAction.KEY_DESTRUCTION_CANCELLED,
    Verb.DESTROY: AuditAction.KEY_DESTROYED,
}


def disable(version: KeyVersion, *, actor: Actor, reason: str) -> KeyVersion:
    """Nothing is decoded with it any more; `enable` undoes that. Raises TransitionRefused, ReasonRequired."""
    return _move(version, Verb.DISABLE, actor=actor, reason=reason)


def enable(version: KeyVersion, *, actor: Actor, reason: str) -> KeyVersion:
    """What was encoded with it decodes again. Raises TransitionRefused, ReasonRequired."""
    return _move(version, Verb.ENABLE, actor=actor, reason=reason)


@transaction.atomic
def schedule_destruction(
    version: KeyVersion, *, actor: Actor, reason: str, days: int = DEFAULT_WAIT_DAYS, override: bool = False
) -> KeyVersion:
    """Nothing is decoded with it any more, and after `days` (7 at least) its material is erased for good.

    A version that may still have encoded payloads in Temporal's histories is refused without `override`.
    Raises StillNeeded, TransitionRefused, ReasonRequired.
    """
    if days < SHORTEST_WAIT_DAYS:
        raise TransitionRefused(f"Destruction waits {SHORTEST_WAIT_DAYS} days at least.")
    if not override:
        _refuse_if_needed(_lock(version))
    destroy_at = timezone.now() + timedelta(days=days)
    details = {"override": override, "destroy_at": destroy_at.isoformat()}
    return _move(version, Verb.SCHEDULE_DESTRUCTION, actor=actor, reason=reason, destroy_at=destroy_at, details=details)


def cancel_destruction(version: KeyVersion, *, actor: Actor, reason: str) -> KeyVersion:
    """It stays, DISABLED. Raises TransitionRefused, ReasonRequired."""
    return _move(version, Verb.CANCEL_DESTRUCTION, actor=actor, reason=reason)


def destroy_due(*, actor: Actor, now: datetime | None = None) -> list[KeyVersion]:
    """Erase the material of every version whose day has come, and return them. Safe to run anywhere, any time."""
    due = KeyVersion.objects.filter(state=State.DESTROY_SCHEDULED, destroy_at__lte=now or timezone.now())
    return [_move(version, Verb.DESTROY, actor=actor, reason="its scheduled day has come") for version in due]


def next_state(version: KeyVersion, verb: Verb) -> State:
    """Return the state that `verb` leads to. Raises TransitionRefused."""
    if version.is_primary:
        raise TransitionRefused(f"{version.key_id} is the primary. Promote another version first.")
    follows = TRANSITIONS.get((version.state, verb))
    if follows is None:
        raise TransitionRefused(f"{version.key_id} is {version.state}, so it cannot {verb.replace('_', ' ')}.")
    return follows


def not_enabled(namespace: Namespace, wire_ids: Collection[bytes]) -> list[str]:
    """Return the key ids of those versions with these ids, as they stand in payloads, that are not ENABLED."""
    digests = {key_id_digest(wire_id) for wire_id in wire_ids}
    versions = KeyVersion.objects.filter(namespace=namespace, key_id_digest__in=digests).exclude(state=State.ENABLED)
    return sorted(versions.values_list("key_id", flat=True))


def possible_verbs(version: KeyVersion) -> list[Verb]:
    """Return what a person may do with it now. Destroying is not among them: it happens on its day."""
    if version.is_primary:
        return []
    return [verb for state, verb in TRANSITIONS if state == version.state and verb is not Verb.DESTROY]


@transaction.atomic
def _move(
    version: KeyVersion,
    verb: Verb,
    *,
    actor: Actor,
    reason: str,
    destroy_at: datetime | None = None,
    details: dict[str, object] | None = None,
) -> KeyVersion:
    reason = required(reason)
    version = _lock(version)
    former, version.state = version.state, next_state(version, verb)
    version.state_changed_at, version.destroy_at = timezone.now(), destroy_at
    if version.state == State.DESTROYED:
        version.wrapped = None
    version.save(update_fields=["state", "state_changed_at", "destroy_at", "wrapped"])
    audit.record(
        ACTIONS[verb],
        actor=actor,
        namespace=version.namespace.name,
        details={"key_id": version.key_id, "from": former, "reason": reason, **(details or {})},
    )
    return version


def _lock(version: KeyVersion) -> KeyVersion:
    return KeyVersion.objects.select_for_update(of=("self",)).select_related("namespace").get(pk=version.pk)


def _refuse_if_needed(version: KeyVersion) -> None:
    until = usage.needed_until(version)
    if until is not None and until > timezone.now():
        raise StillNeeded(
            f"{version.key_id} may have encoded payloads that Temporal keeps until {until:%Y-%m-%d}. "
            "They would be unreadable for ever. Override only with a reason."
        )
