"""May they? The only place that decides. A decision is a value; its reason goes to the audit record, not to the caller.

Being staff, superuser, or in a group decides nothing here.
"""

from dataclasses import dataclass
from enum import StrEnum

from codec.callers.principal import Principal
from codec.models import Grant
from keys.models import Namespace


class Verb(StrEnum):
    DECODE = "decode"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class Allowed:
    grant: Grant


@dataclass(frozen=True, slots=True)
class Denied:
    reason: str


Decision = Allowed | Denied


def authorize_decode(principal: Principal, namespace: Namespace | None) -> Decision:
    """Decide whether `principal` may read plaintext of `namespace`. The first rule that matches decides:

    1. a namespace that does not exist denies;
    2. a retired namespace denies;
    3. without a grant in force on the namespace, denied;
    4. a grant that does not name decode denies; one that does, allows.
    """
    return _decide(principal, namespace, Verb.DECODE)


def authorize_encode(principal: Principal, namespace: Namespace | None) -> Decision:
    """Decide whether `principal` may produce payloads of `namespace`: the rules of authorize_decode, for encode."""
    return _decide(principal, namespace, Verb.ENCODE)


def authorize_presence(principal: Principal, namespace: Namespace | None) -> Decision:
    """Decide whether `principal` may learn how `namespace` is set up: rules 1 to 3, then allowed."""
    return _decide(principal, namespace, None)


def _decide(principal: Principal, namespace: Namespace | None, verb: Verb | None) -> Decision:
    if namespace is None:
        return Denied("no_such_namespace")
    if namespace.retired_at is not None:
        return Denied("namespace_retired")
    grant = Grant.objects.filter(user_id=principal.user_id, namespace=namespace, revoked_at=None).first()
    if grant is None:
        return Denied("no_grant")
    if verb is not None and not getattr(grant, verb):
        return Denied("verb_not_granted")
    return Allowed(grant)
