"""The only writer of grants. Every change is recorded in the same transaction."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from codec.models import Grant, User
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.models import Namespace

MAX_REASON = 200
TOO_LONG = f"Say it in at most {MAX_REASON} characters."


class GrantRefused(Exception):
    """The grant cannot be given or revoked; the message says why and may be shown."""


def grants_in_force(user: User) -> QuerySet[Grant]:
    grants = Grant.objects.filter(user=user, revoked_at=None, namespace__retired_at=None)
    return grants.select_related("namespace").order_by("namespace__name")


def refusal(user: User, namespace: Namespace, *, decode: bool, encode: bool, actor: Actor, reason: str) -> str | None:
    """Return why this grant cannot be given, or None."""
    if not (decode or encode):
        return "Choose decode, encode or both."
    if not reason.strip():
        return "Say why this person needs it."
    if len(reason) > MAX_REASON:
        return TOO_LONG
    if namespace.retired_at is not None:
        return "This namespace is retired."
    if actor.id == str(user.pk):
        return "Nobody can give a grant to themselves. Ask another administrator, or use the command line."
    return None


@transaction.atomic
def give_grant(user: User, namespace: Namespace, *, decode: bool, encode: bool, actor: Actor, reason: str) -> Grant:
    """Give `user` these verbs on `namespace`, replacing a grant in force. Raises GrantRefused."""
    if why_not := refusal(user, namespace, decode=decode, encode=encode, actor=actor, reason=reason):
        raise GrantRefused(why_not)
    for former in Grant.objects.filter(user=user, namespace=namespace, revoked_at=None).select_for_update():
        _end(former, actor=actor, reason="replaced by a new grant")
    grant = Grant.objects.create(
        user=user,
        namespace=namespace,
        decode=decode,
        encode=encode,
        reason=reason.strip(),
        granted_by=actor.name,
        granted_at=timezone.now(),
    )
    _record(AuditAction.GRANT_GIVEN, grant, actor=actor, reason=grant.reason)
    return grant


@transaction.atomic
def revoke_grant(grant: Grant, *, actor: Actor, reason: str) -> None:
    """End a grant from the very next request on. Raises GrantRefused when it has ended already, or without a reason."""
    if not reason.strip():
        raise GrantRefused("Say why the grant ends.")
    if len(reason) > MAX_REASON:
        raise GrantRefused(TOO_LONG)
    current = Grant.objects.select_for_update().get(pk=grant.pk)
    if not current.in_force:
        raise GrantRefused("This grant has ended already.")
    _end(current, actor=actor, reason=reason.strip())


def _end(grant: Grant, *, actor: Actor, reason: str) -> None:
    grant.revoked_at, grant.revoked_by, grant.revoke_reason = timezone.now(), actor.name, reason
    grant.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
    _record(AuditAction.GRANT_REVOKED, grant, actor=actor, reason=reason)


def _record(action: AuditAction, grant: Grant, *, actor: Actor, reason: str) -> None:
    audit.record(
        action,
        actor=actor,
        namespace=grant.namespace.name,
        details={"user": grant.user.username, "user_id": grant.user_id, "verbs": grant.verbs, "reason": reason},
    )
