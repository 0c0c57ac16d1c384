"""May they? The only place that decides. A decision is a value; its reason goes to the audit record, not to the caller.

Being staff, superuser, or in a group decides nothing here.
"""

from dataclasses import dataclass
from enum import StrEnum

from codec.callers.principal import Principal, Right
from codec.models import Grant
from keys.models import Namespace


class Verb(StrEnum):
    DECODE = "decode"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class Allowed:
    """`grant` is None where a claim of the caller's token allows."""

    grant: Grant | None


@dataclass(frozen=True, slots=True)
class Denied:
    reason: str


Decision = Allowed | Denied


def authorize_decode(principal: Principal, namespace: Namespace | None) -> Decision:
    """Decide whether `principal` may read plaintext of `namespace`. The first rule that matches decides:

    1. a namespace that does not exist denies;
    2. a retired namespace denies;
    3. a credential with limits that do not reach this far denies, whatever its owner may;
    4. a grant in force on the namespace that names decode allows;
    5. a claim of the caller's token that names decode there allows;
    6. anything else is denied.
    """
    return _decide(principal, namespace, {Verb.DECODE})


def authorize_encode(principal: Principal, namespace: Namespace | None) -> Decision:
    """Decide whether `principal` may produce payloads of `namespace`: the rules of authorize_decode, for encode."""
    return _decide(principal, namespace, {Verb.ENCODE})


def authorize_presence(principal: Principal, namespace: Namespace | None) -> Decision:
    """Decide whether `principal` may learn how `namespace` is set up: the same rules, for any verb."""
    return _decide(principal, namespace, set(Verb))


def _decide(principal: Principal, namespace: Namespace | None, verbs: set[Verb]) -> Decision:
    if namespace is None:
        return Denied("no_such_namespace")
    if namespace.retired_at is not None:
        return Denied("namespace_retired")
    if principal.limits is not None and not _names(principal.limits, namespace, verbs):
        return Denied("beyond_token_limits")
    grant = Grant.objects.filter(user_id=principal.user_id, namespace=namespace, revoked_at=None).first()
    if grant is not None and any(getattr(grant, verb) for verb in verbs):
        return Allowed(grant)
    if _names(principal.claims, namespace, verbs):
        return Allowed(None)
    return Denied("verb_not_granted" if grant else "no_grant")


def _names(rights: frozenset[Right], namespace: Namespace, verbs: set[Verb]) -> bool:
    return any(right.namespace in {None, namespace.name} and right.verb in verbs for right in rights)
