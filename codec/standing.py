"""What a decision of codec.authorization rests on, read from the database at the moment of the request."""

from datetime import datetime

from django.utils import timezone

from codec.authorization import Authorize, Decision, Denied, Standing
from codec.callers.principal import Principal
from codec.models import Grant, GrantQuerySet
from keys.models import Namespace

_PAST = 20  # grants that are over, looked at to say why a caller is denied


def decide(
    authorize: Authorize, principal: Principal, namespace: Namespace | None, *, now: datetime | None = None
) -> Decision:
    """Return what `authorize` says of the caller's grants as they are now.

    What is over is loaded for those who are denied alone, so that the audit can say why.
    """
    now = now or timezone.now()
    if namespace is None:
        return authorize(principal, None, Standing(), now=now)
    reaching = Grant.objects.filter(namespace=namespace).reaching(principal.user_id)
    current = list(reaching.not_over(now))
    decision = authorize(principal, namespace, _standing(current), now=now)
    if not isinstance(decision, Denied):
        return decision
    return authorize(principal, namespace, _standing([*current, *_over(reaching, now)]), now=now)


def _over(reaching: GrantQuerySet, now: datetime) -> list[Grant]:
    return [grant for grant in reaching.order_by("-granted_at")[:_PAST] if grant.is_over_at(now)]


def _standing(grants: list[Grant]) -> Standing:
    """The query has found grants to groups by the caller's memberships, so these groups are theirs."""
    groups = frozenset(grant.group_id for grant in grants if grant.group_id is not None)
    return Standing(groups, tuple(grants))
