"""Nobody gives themselves rights by joining a group that has some.

The pages of the admin say so in a sentence; the receiver here holds for every other way of adding somebody to a group.
The identity provider's word is not one's own act: what it gives goes through `by_provider`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.db.models.signals import m2m_changed
from django.dispatch import receiver
from django.utils import timezone

from codec.models import Grant, NamespacePolicy, User
from keys import audit
from keys.actor import Actor, ActorKind, current
from keys.audit import AuditAction, Outcome

SENTENCE = (
    "Nobody can add themselves to a group that has grants, or may take them: {}. "
    "Ask another administrator, or use the command line."
)
_provider: ContextVar[bool] = ContextVar("membership_by_provider", default=False)


@contextmanager
def by_provider() -> Iterator[None]:
    """What is added inside this block, the identity provider has given."""
    token = _provider.set(True)
    try:
        yield
    finally:
        _provider.reset(token)


def opening(groups: QuerySet[Group]) -> QuerySet[Group]:
    """Return those of `groups` whose members get rights: by grants, by services of theirs, or by break-glass."""
    grants = Grant.objects.not_over(timezone.now())
    breakers = NamespacePolicy.objects.exclude(break_glass_group=None).values("break_glass_group")
    of_services = User.objects.filter(is_service=True, grants__in=grants).values("owner_group")
    return groups.filter(Q(grants__in=grants) | Q(pk__in=breakers) | Q(pk__in=of_services)).distinct()


def refusal(user: User, joined: QuerySet[Group], *, actor: Actor) -> str | None:
    """Return why `actor` cannot add `user` to these groups, or None."""
    if actor.kind != ActorKind.USER or actor.id != str(user.pk):
        return None
    names = ", ".join(opening(joined).values_list("name", flat=True))
    return SENTENCE.format(names) if names else None


def record_refusal(user: User, *, actor: Actor) -> None:
    audit.record(
        AuditAction.USER_GROUPS_CHANGED,
        actor=actor,
        outcome=Outcome.DENIED,
        reason="to_oneself",
        details={"user": user.username, "user_id": user.pk},
    )


@receiver(m2m_changed, sender=User.groups.through)
def refuse_joining(
    action: str, instance: User | Group, reverse: bool, pk_set: set[int] | None, **kwargs: object
) -> None:
    """Raises PermissionDenied. From a user's side `pk_set` names groups; from a group's side, users."""
    if action != "pre_add" or not pk_set or _provider.get():
        return
    actor = current()
    for user, groups in _pairs(instance, pk_set):
        if why_not := refusal(user, groups, actor=actor):
            raise PermissionDenied(why_not)


def _pairs(instance: User | Group, pk_set: set[int]) -> list[tuple[User, QuerySet[Group]]]:
    if isinstance(instance, User):
        return [(instance, Group.objects.filter(pk__in=pk_set))]
    group = Group.objects.filter(pk=instance.pk)
    return [(user, group) for user in User.objects.filter(pk__in=pk_set)]
