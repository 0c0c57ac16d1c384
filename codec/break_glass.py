"""Break-glass: where the policy of a namespace permits it, a member of the named group takes a short grant at once.

It is the one right that people give to themselves. So it is short, says why, is marked as what it is in the audit of
every request that rests on it, and the approvers are told immediately.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from codec import notices, policies
from codec.grants import give_grant
from codec.models import Grant, User
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction, Outcome
from keys.models import Namespace


class BreakGlassRefused(Exception):
    """The grant cannot be taken; the message says why and may be shown."""


class NotPermitted(BreakGlassRefused):
    """The policy does not let this person. The same words for a namespace that does not exist."""


def take(person: User, namespace_name: str, *, minutes: int, reason: str, actor: Actor, ticket: str = "") -> Grant:
    """Take a grant to decode for some minutes, and tell the approvers. Raises BreakGlassRefused, GrantRefused."""
    namespace = policies.breakable(person).filter(name=namespace_name).first()
    if namespace is None:
        record_refusal(namespace_name, actor=actor)
        raise NotPermitted("You may not take break-glass access to this namespace.")
    if in_use().filter(user=person, namespace=namespace).exists():
        raise BreakGlassRefused("You have break-glass access to this namespace already. When it ends, take it anew.")
    longest = namespace.policy.break_glass_minutes
    if not 1 <= minutes <= longest:
        raise BreakGlassRefused(f"Choose from 1 to {longest} minutes.")
    return _take(person, namespace, minutes, reason=reason, ticket=ticket, actor=actor)


def in_use(now: datetime | None = None) -> QuerySet[Grant]:
    """Return the break-glass grants in force."""
    grants = Grant.objects.in_force(now or timezone.now()).filter(source=Grant.Source.BREAK_GLASS)
    return grants.select_related("user", "namespace").order_by("ends_at")


def _take(person: User, namespace: Namespace, minutes: int, *, reason: str, ticket: str, actor: Actor) -> Grant:
    now = timezone.now()
    with transaction.atomic():
        grant = give_grant(
            person,
            namespace,
            actor=actor,
            decode=True,
            starts_at=now,
            ends_at=now + timedelta(minutes=minutes),
            reason=reason,
            ticket=ticket,
            source=Grant.Source.BREAK_GLASS,
        )
        transaction.on_commit(lambda: notices.glass_broken(grant))
    return grant


def record_refusal(namespace_name: str, *, actor: Actor) -> None:
    """Record that somebody tried to take what no policy lets them."""
    audit.record(
        AuditAction.GRANT_GIVEN,
        actor=actor,
        outcome=Outcome.DENIED,
        reason="break_glass_not_permitted",
        namespace=audit.printable(namespace_name),
    )
