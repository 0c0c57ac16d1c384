"""May they? The only place that decides. A decision is a value; its reason goes to the audit record, not to the caller.

Being staff or superuser decides nothing here. These functions read no clock and no database: codec.standing loads
what they are given.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from codec.callers.principal import Principal, Right
from codec.models import Grant
from keys.models import Namespace


class Verb(StrEnum):
    DECODE = "decode"
    ENCODE = "encode"
    DOWNLOAD = "download"
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is on record of a caller: the ids of their groups now, and grants that may concern them."""

    groups: frozenset[int] = frozenset()
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowed:
    """`grant` is None where a claim of the caller's token allows.

    `until` is the earliest end of what this rests on: nobody may go by it from then on. None: it has no end.
    """

    grant: Grant | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    reason: str


Decision = Allowed | Denied


class Authorize(Protocol):
    """One of the functions below."""

    def __call__(
        self, principal: Principal, namespace: Namespace | None, standing: Standing, *, now: datetime
    ) -> Decision: ...


def authorize_decode(
    principal: Principal, namespace: Namespace | None, standing: Standing, *, now: datetime
) -> Decision:
    """Decide whether `principal` may read plaintext of `namespace` at `now`. The first rule that matches decides:

    1. a namespace that does not exist denies;
    2. a retired namespace denies;
    3. a credential with limits that do not reach this far denies, whatever its owner may;
    4. a grant on this namespace that names decode, to the user or to a group they are in now, allows from its start
       until its end, unless it is revoked; of several, the one that lasts longest;
    5. a claim of the caller's token that names decode there allows;
    6. anything else is denied.
    """
    return _decide(principal, namespace, standing, {Verb.DECODE}, now)


def authorize_encode(
    principal: Principal, namespace: Namespace | None, standing: Standing, *, now: datetime
) -> Decision:
    """Decide whether `principal` may produce payloads of `namespace`: the rules of authorize_decode, for encode."""
    return _decide(principal, namespace, standing, {Verb.ENCODE}, now)


def authorize_download(
    principal: Principal, namespace: Namespace | None, standing: Standing, *, now: datetime
) -> Decision:
    """Decide whether `principal` may fetch payloads from the external storage of `namespace`: the same rules."""
    return _decide(principal, namespace, standing, {Verb.DOWNLOAD}, now)


def authorize_lease(
    principal: Principal, namespace: Namespace | None, standing: Standing, *, now: datetime
) -> Decision:
    """Decide whether `principal` may have data keys of `namespace` for a while: the same rules."""
    return _decide(principal, namespace, standing, {Verb.LEASE}, now)


def authorize_presence(
    principal: Principal, namespace: Namespace | None, standing: Standing, *, now: datetime
) -> Decision:
    """Decide whether `principal` may learn how `namespace` is set up: the same rules, for any verb."""
    return _decide(principal, namespace, standing, set(Verb), now)


def _decide(
    principal: Principal, namespace: Namespace | None, standing: Standing, verbs: set[Verb], now: datetime
) -> Decision:
    if namespace is None:
        return Denied("no_such_namespace")
    if namespace.retired_at is not None:
        return Denied("namespace_retired")
    if principal.limits is not None and not _names(principal.limits, namespace, verbs):
        return Denied("beyond_token_limits")
    grants = [grant for grant in standing.grants if _concerns(grant, principal, namespace, standing)]
    naming = [grant for grant in grants if any(getattr(grant, verb) for verb in verbs)]
    in_force = [grant for grant in naming if grant.state_at(now) == "in force"]
    if in_force:
        longest = max(in_force, key=_end)
        return Allowed(longest, until=_earliest(longest.ends_at, principal.until))
    if _names(principal.claims, namespace, verbs):
        return Allowed(None, until=principal.until)
    return Denied(_why_not(naming, now) or ("verb_not_granted" if _any_in_force(grants, now) else "no_grant"))


def _concerns(grant: Grant, principal: Principal, namespace: Namespace, standing: Standing) -> bool:
    """Grants of others and on other namespaces count for nothing, even if they were loaded."""
    reaches = grant.user_id == principal.user_id if grant.user_id is not None else grant.group_id in standing.groups
    return reaches and grant.namespace_id == namespace.pk


def _why_not(naming: list[Grant], now: datetime) -> str:
    """Return what an auditor would say first of grants that name the verb, none of them in force; nothing if none."""
    states = {grant.state_at(now) for grant in naming}
    reasons = {"not yet": "grant_not_yet", "expired": "grant_expired", "revoked": "grant_revoked"}
    return next((reason for state, reason in reasons.items() if state in states), "")


def _any_in_force(grants: list[Grant], now: datetime) -> bool:
    return any(grant.state_at(now) == "in force" for grant in grants)


def _end(grant: Grant) -> tuple[bool, float]:
    return grant.ends_at is None, grant.ends_at.timestamp() if grant.ends_at else 0.0


def _earliest(*ends: datetime | None) -> datetime | None:
    return min((end for end in ends if end is not None), default=None)


def _names(rights: frozenset[Right], namespace: Namespace, verbs: set[Verb]) -> bool:
    return any(right.namespace in {None, namespace.name} and right.verb in verbs for right in rights)
