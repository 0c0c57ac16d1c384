"""One codec request whose caller is known: checked for rate and right, and recorded whatever becomes of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload

from codec import rate_limit
from codec.authorization import Decision, Denied
from codec.callers.principal import Principal
from codec.errors import CodecError, NotAllowed, RateLimited
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction, Outcome
from keys.models import Namespace

Authorize = Callable[[Principal, Namespace | None], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecCall:
    """`read` takes in the body when its turn has come: after the caller is known and permitted."""

    principal: Principal
    actor: Actor
    namespace: str
    read: Callable[[], list[Payload]]


@dataclass(slots=True)
class Entry:
    """The audit record of a call in the making. It says "failed" until everything has gone well."""

    outcome: Outcome = Outcome.FAILED
    reason: str = "internal_error"
    details: dict[str, Any] = field(default_factory=dict)

    def count_payloads(self, payloads: list[Payload]) -> None:
        self.details["payloads"] = len(payloads)
        self.details["bytes"] = sum(len(payload.data) for payload in payloads)

    def count_keys(self, labels: list[str]) -> None:
        self.details["keys"] = dict(Counter(labels))


@contextmanager
def recorded(action: AuditAction, call: CodecCall) -> Iterator[Entry]:
    """Record the call when the block ends: allowed, denied or failed. If it cannot be, nothing may leave."""
    entry = Entry()
    try:
        yield entry
        entry.outcome, entry.reason = Outcome.ALLOWED, ""
    except CodecError as error:
        entry.outcome = Outcome.DENIED if isinstance(error, NotAllowed) else Outcome.FAILED
        entry.reason = error.reason
        raise
    finally:
        audit.record(
            action,
            actor=call.actor,
            outcome=entry.outcome,
            reason=entry.reason,
            namespace=audit.printable(call.namespace),
            details=entry.details,
        )


def permitted_namespace(call: CodecCall, authorize: Authorize) -> Namespace:
    """Return the namespace of the call. Raises RateLimited, NotAllowed."""
    if not rate_limit.admit(call.principal):
        raise RateLimited
    namespace = Namespace.objects.filter(name=call.namespace).first()
    decision = authorize(call.principal, namespace)
    if namespace is None or isinstance(decision, Denied):
        raise NotAllowed(reason=decision.reason if isinstance(decision, Denied) else None)
    return namespace
