"""Taking a namespace out of use, and back into it. Its keys, grants and records stay."""

from django.db import transaction
from django.utils import timezone

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.errors import TransitionRefused
from keys.models import Namespace
from keys.reasons import required


@transaction.atomic
def retire_namespace(namespace: Namespace, *, actor: Actor, reason: str) -> Namespace:
    """From the very next request on, nothing is decoded or encoded there, whatever grants say, until it is restored.

    Raises TransitionRefused, ReasonRequired.
    """
    reason, namespace = required(reason), Namespace.objects.select_for_update().get(pk=namespace.pk)
    if namespace.retired_at is not None:
        raise TransitionRefused(f"{namespace} is retired already.")
    namespace.retired_at = timezone.now()
    return _save(namespace, AuditAction.NAMESPACE_RETIRED, actor=actor, reason=reason)


@transaction.atomic
def restore_namespace(namespace: Namespace, *, actor: Actor, reason: str) -> Namespace:
    """What was granted there and has not ended meanwhile holds again. Raises TransitionRefused, ReasonRequired."""
    reason, namespace = required(reason), Namespace.objects.select_for_update().get(pk=namespace.pk)
    if namespace.retired_at is None:
        raise TransitionRefused(f"{namespace} is not retired.")
    namespace.retired_at = None
    return _save(namespace, AuditAction.NAMESPACE_RESTORED, actor=actor, reason=reason)


def _save(namespace: Namespace, action: AuditAction, *, actor: Actor, reason: str) -> Namespace:
    namespace.save(update_fields=["retired_at"])
    audit.record(action, actor=actor, namespace=namespace.name, details={"reason": reason})
    return namespace
