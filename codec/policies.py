"""Who answers requests for a namespace, and who may help themselves. Without a policy, a namespace has the defaults."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q, QuerySet

from codec.models import NamespacePolicy, User
from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction, Outcome
from keys.models import Namespace

_MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"  # permissions are ours, however people sign in


class PolicyRefused(Exception):
    """The policy cannot be made so; the message says why and may be shown."""


def policy_of(namespace: Namespace) -> NamespacePolicy:
    """Return the policy, or one with the defaults that is not in the database."""
    return NamespacePolicy.objects.filter(namespace=namespace).first() or NamespacePolicy(namespace=namespace)


def approvers_of(namespace: Namespace) -> QuerySet[User]:
    """Return the active people who may answer requests for `namespace`."""
    group = policy_of(namespace).approvers
    if group is not None:
        return User.objects.filter(groups=group, is_active=True, is_service=False)
    return User.objects.with_perm("codec.add_grant", backend=_MODEL_BACKEND).filter(is_service=False)


def may_approve(user: User, namespace: Namespace) -> bool:
    return approvers_of(namespace).filter(pk=user.pk).exists()


def approvable(user: User) -> QuerySet[Namespace]:
    """Return the namespaces whose requests `user` may answer."""
    named = Q(policy__approvers__in=user.groups.all())
    if user.has_perm("codec.add_grant"):
        named |= Q(policy__approvers=None)  # also where there is no policy
    return Namespace.objects.filter(named, retired_at=None)


def breakable(user: User) -> QuerySet[Namespace]:
    """Return the namespaces on which `user` may take a break-glass grant."""
    namespaces = Namespace.objects.filter(policy__break_glass_group__in=user.groups.all(), retired_at=None)
    return namespaces.select_related("policy").order_by("name")


def refusal(breakers: Group | None, *, actor: Actor) -> str | None:
    """Return why this group cannot be let break the glass, or None. Nobody gives that right to themselves."""
    if breakers is not None and actor.kind == ActorKind.USER and breakers.user_set.filter(pk=actor.id).exists():
        return "You are in this group. Nobody can permit break-glass to themselves; ask another administrator."
    return None


@transaction.atomic
def save_policy(policy: NamespacePolicy, changes: Mapping[str, Any], *, actor: Actor) -> None:
    """Save the policy with the record of what changed. Raises PolicyRefused."""
    if "break_glass_group" in changes and (why_not := refusal(policy.break_glass_group, actor=actor)):
        raise PolicyRefused(why_not)
    policy.save()
    told = {name: str(value) if isinstance(value, Group) else value for name, value in changes.items()}
    details = {"changes": told}
    audit.record(AuditAction.NAMESPACE_POLICY_CHANGED, actor=actor, namespace=policy.namespace.name, details=details)


def record_refusal(namespace: Namespace, *, actor: Actor) -> None:
    """Record that somebody tried to permit break-glass to themselves."""
    audit.record(
        AuditAction.NAMESPACE_POLICY_CHANGED,
        actor=actor,
        outcome=Outcome.DENIED,
        reason="to_oneself",
        namespace=namespace.name,
    )
