"""The verbs that create and change keys. Each runs in one transaction with its audit record."""

import base64
import os
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.errors import AlreadyExists, InvalidKey, InvalidName, NoSuchKey, NoSuchNamespace, TransitionRefused
from keys.keyring import wrap_new
from keys.models import KeyVersion, Namespace
from keys.names import is_namespace_name, key_id_digest
from keys.reasons import required

_MAX_KEY_ID = 255
_FEWEST_DISTINCT_BYTES = 6  # the key that the samples publish has 7


def find_namespace(name: str) -> Namespace:
    """Return the namespace. Raises NoSuchNamespace."""
    try:
        return Namespace.objects.get(name=name)
    except Namespace.DoesNotExist:
        raise NoSuchNamespace(f"There is no namespace {name}.") from None


def find_version(namespace: Namespace, key_id: str) -> KeyVersion:
    """Return the key version with this id, as `list_keys` shows it. Raises NoSuchKey."""
    version = namespace.key_versions.filter(key_id=key_id).first()
    if version is None:
        raise NoSuchKey(f"{namespace} has no key version {key_id}.")
    return version


@transaction.atomic
def create_namespace(name: str, *, actor: Actor) -> Namespace:
    """Create a namespace with its first key version. Raises InvalidName, AlreadyExists, VaultUnavailable."""
    if not is_namespace_name(name):
        raise InvalidName("A namespace name has letters, digits, dots, underscores and hyphens only.")
    namespace, created = Namespace.objects.get_or_create(name=name)
    if not created:
        raise AlreadyExists(f"There is a namespace {name} already.")
    audit.record(AuditAction.NAMESPACE_CREATED, actor=actor, namespace=name)
    _create_version(namespace, actor=actor, reason="first key of the namespace")
    return namespace


@transaction.atomic
def rotate_key(namespace: Namespace, *, actor: Actor, reason: str) -> KeyVersion:
    """Make a new random key version the primary; the old ones stay as they are. Raises VaultUnavailable."""
    return _create_version(_lock(namespace), actor=actor, reason=required(reason))


@transaction.atomic
def publish_key(namespace: Namespace, *, actor: Actor, reason: str) -> KeyVersion:
    """Make a new random key version that decodes only, for Workers to fetch before it is promoted.

    Raises ReasonRequired, VaultUnavailable.
    """
    return _create_version(_lock(namespace), actor=actor, reason=required(reason), primary=False)


@transaction.atomic
def promote_key(version: KeyVersion, *, actor: Actor, reason: str) -> KeyVersion:
    """Make an ENABLED version the primary. Raises TransitionRefused, ReasonRequired."""
    reason = required(reason)
    namespace = _lock(version.namespace)
    version = namespace.key_versions.get(pk=version.pk)
    if version.state != KeyVersion.State.ENABLED:
        raise TransitionRefused(f"{version.key_id} is {version.state}. Only an ENABLED version can be the primary.")
    if version.is_primary:
        raise TransitionRefused(f"{version.key_id} is the primary already.")
    if version.key_id_digest != key_id_digest(version.key_id.encode()):
        raise TransitionRefused(f"{version.key_id} has no id of its own: it can decode, but must not encode.")
    _make_primary(version, actor=actor, reason=reason)
    return version


def rotate_due(*, actor: Actor) -> list[KeyVersion]:
    """Rotate every namespace whose rotation is due, and return the new versions. Safe to run anywhere, any time."""
    due = Namespace.objects.filter(retired_at=None, next_rotation_at__lte=timezone.now())
    versions = [_rotate_if_due(namespace, actor=actor) for namespace in due]
    return [version for version in versions if version is not None]


@transaction.atomic
def schedule_rotation(namespace: Namespace, period_days: int | None) -> None:
    """Set the rotation period and, counted from the primary's creation, the next rotation; None ends the schedule."""
    primary = namespace.key_versions.filter(is_primary=True).first()
    namespace.rotation_period_days = period_days
    namespace.next_rotation_at = _next_rotation(namespace, primary.created_at) if primary else None
    namespace.save(update_fields=["rotation_period_days", "next_rotation_at"])


@transaction.atomic
def import_key(namespace: Namespace, key_id: str, data_key: bytes, *, primary: bool, actor: Actor) -> KeyVersion:
    """Take in a key that Workers already use, under the id that they write into payloads.

    An id whose bytes are the key itself (Temporal's Java sample) is stored as its digest and shown as
    `java-sample-<8 hex>`, the empty id (Go sample) as `(empty)`; such keys only decode.
    Raises InvalidKey, InvalidName, AlreadyExists, VaultUnavailable.
    """
    _check_key(data_key)
    _check_key_id(key_id)
    shown = _shown_id(key_id, data_key)
    if shown != key_id and primary:
        raise InvalidKey("A key without an id of its own can decode, but must not encode.")
    version = KeyVersion(
        namespace=_lock(namespace),
        number=_next_number(namespace),
        key_id=shown,
        key_id_digest=key_id_digest(key_id.encode()),
        origin=KeyVersion.Origin.IMPORTED,
    )
    _refuse_taken(version)
    _store(version, data_key)
    audit.record(AuditAction.KEY_IMPORTED, actor=actor, namespace=namespace.name, details={"key_id": version.key_id})
    if primary:
        _make_primary(version, actor=actor, reason="imported as primary")
    return version


@transaction.atomic
def _rotate_if_due(namespace: Namespace, *, actor: Actor) -> KeyVersion | None:
    """Rotate under the namespace's lock, unless another process has just done it."""
    locked = _lock(namespace)
    if locked.next_rotation_at is None or locked.next_rotation_at > timezone.now():
        return None
    return _create_version(locked, actor=actor, reason=f"scheduled every {locked.rotation_period_days} days")


def _next_rotation(namespace: Namespace, since: datetime) -> datetime | None:
    days = namespace.rotation_period_days
    return since + timedelta(days=days) if days else None


def _create_version(namespace: Namespace, *, actor: Actor, reason: str, primary: bool = True) -> KeyVersion:
    number = _next_number(namespace)
    key_id = f"{number}-{_random_suffix()}"
    version = KeyVersion(
        namespace=namespace,
        number=number,
        key_id=key_id,
        key_id_digest=key_id_digest(key_id.encode()),
        origin=KeyVersion.Origin.GENERATED,
    )
    _store(version, os.urandom(32))
    audit.record(
        AuditAction.KEY_CREATED,
        actor=actor,
        namespace=namespace.name,
        details={"key_id": key_id, "kek_id": version.kek_id, "reason": reason},
    )
    if primary:
        _make_primary(version, actor=actor, reason=reason)
    return version


def _make_primary(version: KeyVersion, *, actor: Actor, reason: str) -> None:
    namespace, now = version.namespace, timezone.now()
    former = namespace.key_versions.filter(is_primary=True).first()
    namespace.key_versions.filter(is_primary=True).update(is_primary=False, last_primary_at=now)
    version.is_primary = True
    version.save(update_fields=["is_primary"])
    namespace.next_rotation_at = _next_rotation(namespace, now)
    namespace.save(update_fields=["next_rotation_at"])
    audit.record(
        AuditAction.KEY_MADE_PRIMARY,
        actor=actor,
        namespace=version.namespace.name,
        details={"key_id": version.key_id, "former": former.key_id if former else None, "reason": reason},
    )


def _store(version: KeyVersion, data_key: bytes) -> None:
    wrap_new(version, data_key)
    version.save(force_insert=True)


def _lock(namespace: Namespace) -> Namespace:
    return Namespace.objects.select_for_update().get(pk=namespace.pk)


def _next_number(namespace: Namespace) -> int:
    highest: int | None = namespace.key_versions.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1


def _random_suffix() -> str:
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()


def _check_key(data_key: bytes) -> None:
    if len(data_key) != 32:
        raise InvalidKey("The key must be exactly 32 bytes, given in base64.")
    if len(set(data_key)) < _FEWEST_DISTINCT_BYTES:
        raise InvalidKey("The key is not random enough to be a key.")


def _check_key_id(key_id: str) -> None:
    if len(key_id) > _MAX_KEY_ID or not key_id.isprintable():
        raise InvalidName("A key id has at most 255 printable characters.")


def _shown_id(key_id: str, data_key: bytes) -> str:
    """Return the name under which a key is shown: its id, unless that is empty or is the key itself."""
    if secrets.compare_digest(key_id.encode(), data_key):
        return f"java-sample-{key_id_digest(key_id.encode())[:8]}"
    return key_id or "(empty)"


def _refuse_taken(version: KeyVersion) -> None:
    taken = KeyVersion.objects.filter(namespace=version.namespace)
    if taken.filter(key_id=version.key_id).exists() or taken.filter(key_id_digest=version.key_id_digest).exists():
        raise AlreadyExists(f"The namespace {version.namespace} has, or had, a key {version.key_id} already.")
