"""One codec request whose caller is known: checked for rate and right, and recorded whatever becomes of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload

from codec import rate_limit, standing
from codec.authorization import Allowed, Authorize, Denied
from codec.callers.principal import Principal
from codec.errors import CodecError, NotAllowed, RateLimited, Unavailable
from keys import audit, fingerprints
from keys.actor import Actor
from keys.audit import AuditAction, Outcome
from keys.epoch import PolicyMoved
from keys.group_commit import codec_requests
from keys.models import Namespace

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecCall:
    """`epoch` was read before anything else; `read` takes in the body, once the caller is known and permitted.

    `permitted` is told what the permission rests on. `details` stand in the audit record from the start.
    """

    epoch: int
    principal: Principal
    actor: Actor
    namespace: str
    read: Callable[[], list[Payload]]
    permitted: Callable[[Namespace, Allowed], None] = field(default=lambda namespace, allowed: None)
    details: Mapping[str, Any] = field(default_factory=dict)


UseCase = Callable[[CodecCall], list[Payload]]


@dataclass(slots=True)
class Entry:
    """The audit record of a call in the making. It says "failed" until everything has gone well."""

    outcome: Outcome = Outcome.FAILED
    reason: str = "internal_error"
    details: dict[str, Any] = field(default_factory=dict)
    fingerprints: bytes = b""
    remark: str = ""

    def count_payloads(self, payloads: list[Payload]) -> None:
        self.count(len(payloads), sum([len(payload.data) for payload in payloads]))

    def count(self, payloads: int, size: int) -> None:
        self.details["payloads"] = payloads
        self.details["bytes"] = size

    def note_openings(self, namespace: str, openings: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Take in what was opened: key label, nonce and tag of each layer."""
        self.count_keys([label for label, _, _ in openings])
        self.note_fingerprints(namespace, openings)

    def note_fingerprints(self, namespace: str, openings: Sequence[tuple[str, bytes, bytes]]) -> None:
        self.fingerprints = fingerprints.pack(namespace, openings)

    def count_keys(self, labels: list[str]) -> None:
        counts: dict[str, int] = {}
        for label in labels:
            counts[label] = counts.get(label, 0) + 1
        self.details["keys"] = counts

    def note_not_enabled(self, key_ids: list[str]) -> None:
        if key_ids:
            self.details["not_enabled"] = key_ids

    def note_grant(self, allowed: Allowed) -> None:
        """Keep which grant permits this, and whether somebody took it in an emergency."""
        if allowed.grant is not None:
            self.details["grant"] = allowed.grant.pk
            self.remark = "break_glass" if allowed.grant.is_break_glass else ""

    def allow(self) -> None:
        self.outcome, self.reason = Outcome.ALLOWED, self.remark

    def refuse(self, error: CodecError) -> None:
        self.outcome = Outcome.DENIED if isinstance(error, NotAllowed) else Outcome.FAILED
        self.reason = error.reason


@contextmanager
def recorded(action: AuditAction, call: CodecCall) -> Iterator[Entry]:
    """Record the call when the block ends: allowed, denied or failed. If it cannot be, nothing may leave.

    Raises PolicyMoved, and records nothing, when the call would be allowed by a policy that is no longer in force.
    """
    entry = Entry(details=dict(call.details))
    try:
        yield entry
        entry.allow()
    except CodecError as error:
        entry.refuse(error)
        raise
    finally:
        _write(action, call, entry)


def _write(action: AuditAction, call: CodecCall, entry: Entry) -> None:
    record = audit.compose(
        action,
        actor=call.actor,
        outcome=entry.outcome,
        reason=entry.reason,
        namespace=audit.printable(call.namespace),
        details=entry.details,
    )
    record.fingerprints = entry.fingerprints
    codec_requests.write(record, call.epoch if entry.outcome is Outcome.ALLOWED else None)


def decide(use_case: UseCase, read_call: Callable[[], CodecCall]) -> list[Payload]:
    """Return what `use_case` makes of the call; read and decided afresh whenever the policy moves meanwhile.

    Raises Unavailable when it does not hold still.
    """
    for _ in range(_ATTEMPTS):
        try:
            return use_case(read_call())
        except PolicyMoved:
            continue
    raise Unavailable(reason="policy_moving")


def permitted_namespace(call: CodecCall, authorize: Authorize, entry: Entry) -> Namespace:
    """Return the namespace of the call, and note in `entry` what permits it. Raises RateLimited, NotAllowed."""
    if not rate_limit.admit(call.principal):
        raise RateLimited
    namespace = Namespace.objects.filter(name=call.namespace).first()
    decision = standing.decide(authorize, call.principal, namespace)
    if namespace is None or isinstance(decision, Denied):
        raise NotAllowed(reason=decision.reason if isinstance(decision, Denied) else None)
    entry.note_grant(decision)
    call.permitted(namespace, decision)
    return namespace
