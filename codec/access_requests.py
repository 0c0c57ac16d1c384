"""The only writer of access requests: ask, withdraw, approve, deny, lapse. Each is recorded in the same transaction.

Whoever asks learns nothing of which namespaces there are: any name is taken, and waits. An answer, though, comes from
an approver of that namespace alone, and never from who asked.
"""

from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict, Unpack

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from codec import notices, policies
from codec.grants import MAX_REASON, TOO_LONG, GrantRefused, give_grant
from codec.models import AccessRequest, Grant, User
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction, Outcome
from keys.models import Namespace
from keys.names import is_namespace_name

LAPSES_AFTER = timedelta(days=3)
MOST_A_DAY = 20  # each sends e-mail to people
LONGEST_HOURS = 720
NO_NOTE = "Say why, in a note to who asked."

_ACTIONS = {
    AccessRequest.Outcome.APPROVED: AuditAction.ACCESS_REQUEST_APPROVED,
    AccessRequest.Outcome.DENIED: AuditAction.ACCESS_REQUEST_DENIED,
    AccessRequest.Outcome.WITHDRAWN: AuditAction.ACCESS_REQUEST_WITHDRAWN,
    AccessRequest.Outcome.LAPSED: AuditAction.ACCESS_REQUEST_LAPSED,
}


class RequestRefused(Exception):
    """The request cannot be made or answered; the message says why and may be shown."""


class NotYours(RequestRefused):
    """It is not for this person to answer this request. `reason` goes to the audit record."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Wish(TypedDict):
    """What is asked for: to decode, and perhaps to encode, for some hours."""

    hours: int
    reason: str
    encode: NotRequired[bool]
    ticket: NotRequired[str]


def ask(user: User, namespace_name: str, *, actor: Actor, **wish: Unpack[Wish]) -> AccessRequest:
    """Ask for a namespace by its name, and tell its approvers. Asked again, the open request is replaced.

    Raises RequestRefused, for nothing that depends on whether there is such a namespace.
    """
    if why_not := _wrong_with(namespace_name, wish):
        raise RequestRefused(why_not)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # one at a time, so that the number of open ones is bounded
        request = _replace_open(user, namespace_name, wish, actor=actor)
        _record(AuditAction.ACCESS_REQUESTED, request, actor=actor, reason=request.reason)
        transaction.on_commit(lambda: notices.request_made(request))
    return request


def withdraw(request: AccessRequest, *, actor: Actor) -> None:
    """Take an open request back. Raises RequestRefused."""
    with transaction.atomic():
        _close(_lock(request), AccessRequest.Outcome.WITHDRAWN, actor=actor)


def approve(request: AccessRequest, *, approver: User, hours: int, note: str, actor: Actor) -> Grant:
    """Give what was asked for, for `hours` from now: at most what was asked for and what the namespace permits.

    Raises RequestRefused, GrantRefused.
    """
    with transaction.atomic():
        locked, namespace = _answerable(request, approver)
        longest = longest_hours(locked, namespace)
        if not 1 <= hours <= longest:
            raise RequestRefused(f"Choose from 1 to {longest} hours.")
        grant = _grant(locked, namespace, hours, actor=actor)
        _close(locked, AccessRequest.Outcome.APPROVED, actor=actor, note=note, grant=grant)
        transaction.on_commit(lambda: notices.request_answered(locked))
    return grant


def deny(request: AccessRequest, *, approver: User, note: str, actor: Actor) -> None:
    """Answer no; the note goes to who asked. Raises RequestRefused."""
    if not note.strip():
        raise RequestRefused(NO_NOTE)
    with transaction.atomic():
        locked, _ = _answerable(request, approver)
        _close(locked, AccessRequest.Outcome.DENIED, actor=actor, note=note)
        transaction.on_commit(lambda: notices.request_answered(locked))


def lapse_overdue(*, actor: Actor) -> int:
    """Close the requests that nobody has answered in time, and return how many."""
    overdue = AccessRequest.objects.filter(outcome="", lapses_at__lte=timezone.now())
    return sum(_lapse(request, actor=actor) for request in overdue)


def waiting() -> QuerySet[AccessRequest]:
    now = timezone.now()
    return AccessRequest.objects.filter(outcome="", lapses_at__gt=now, user__is_active=True).select_related("user")


def waiting_for(approver: User) -> QuerySet[AccessRequest]:
    """Return the open requests that `approver` may answer, the oldest first."""
    names = policies.approvable(approver).values("name")
    return waiting().filter(namespace_name__in=names).exclude(user=approver).order_by("made_at")


def find_for(approver: User, pk: int) -> AccessRequest:
    """Return a request on a namespace whose requests `approver` may answer, answered or not.

    Raises NotYours, the same for those of others as for those that do not exist.
    """
    request = AccessRequest.objects.select_related("user", "grant").filter(pk=pk).first()
    if request is None or request.user_id == approver.pk or _namespace_for(approver, request) is None:
        raise _not_yours(request, approver)
    return request


def longest_hours(request: AccessRequest, namespace: Namespace) -> int:
    return min(request.hours, policies.policy_of(namespace).max_request_hours)


def record_refusal(action: AuditAction, request: AccessRequest, refused: NotYours, *, actor: Actor) -> None:
    """Record that somebody tried to answer what is not theirs to answer."""
    _record(action, request, actor=actor, outcome=Outcome.DENIED, code=refused.reason)


def _wrong_with(namespace_name: str, wish: Wish) -> str | None:
    if not is_namespace_name(namespace_name):
        return "That is not a name that a Temporal Namespace can have."
    if not wish["reason"].strip():
        return "Say why you need it."
    if len(wish["reason"]) > MAX_REASON:
        return TOO_LONG
    return None if 1 <= wish["hours"] <= LONGEST_HOURS else f"Choose from 1 to {LONGEST_HOURS} hours."


def _answerable(request: AccessRequest, approver: User) -> tuple[AccessRequest, Namespace]:
    """Return the request, locked, and its namespace. Raises NotYours, RequestRefused."""
    locked = _lock(request)
    namespace = _namespace_for(approver, locked)
    if locked.user_id == approver.pk or namespace is None:
        raise _not_yours(locked, approver)
    if not locked.is_waiting:
        raise RequestRefused(f"This request is {locked.state} already.")
    if not locked.user.is_active:
        raise RequestRefused(f"{locked.user} is disabled.")
    return locked, namespace


def _not_yours(request: AccessRequest | None, approver: User) -> NotYours:
    if request is not None and request.user_id == approver.pk:
        return NotYours("Nobody answers their own request.", reason="to_oneself")
    return NotYours("There is no such request for you to answer.", reason="not_an_approver")


def _namespace_for(approver: User, request: AccessRequest) -> Namespace | None:
    return policies.approvable(approver).filter(name=request.namespace_name).first()


def _replace_open(user: User, namespace_name: str, wish: Wish, *, actor: Actor) -> AccessRequest:
    now = timezone.now()
    for open_one in AccessRequest.objects.filter(user=user, outcome="", namespace_name=namespace_name):
        outcome = AccessRequest.Outcome.WITHDRAWN if open_one.is_waiting else AccessRequest.Outcome.LAPSED
        _end(open_one, outcome, actor=actor)
    if AccessRequest.objects.filter(user=user, made_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise RequestRefused(f"You have made {MOST_A_DAY} requests since yesterday. Wait for the answers.")
    return AccessRequest.objects.create(
        user=user,
        namespace_name=namespace_name,
        encode=wish.get("encode", False),
        hours=wish["hours"],
        reason=wish["reason"].strip(),
        ticket=wish.get("ticket", "").strip(),
        made_at=now,
        lapses_at=now + LAPSES_AFTER,
    )


def _grant(request: AccessRequest, namespace: Namespace, hours: int, *, actor: Actor) -> Grant:
    now = timezone.now()
    try:
        return give_grant(
            request.user,
            namespace,
            actor=actor,
            decode=True,
            encode=request.encode,
            starts_at=now,
            ends_at=now + timedelta(hours=hours),
            reason=request.reason,
            ticket=request.ticket,
            source=Grant.Source.REQUEST,
        )
    except GrantRefused as error:
        raise RequestRefused(str(error)) from error


def _lapse(request: AccessRequest, *, actor: Actor) -> bool:
    with transaction.atomic():
        locked = _lock(request)
        if locked.state != "lapsed" or locked.outcome:
            return False
        _end(locked, AccessRequest.Outcome.LAPSED, actor=actor)
        return True


def _lock(request: AccessRequest) -> AccessRequest:
    return AccessRequest.objects.select_for_update(of=("self",)).select_related("user").get(pk=request.pk)


def _close(request: AccessRequest, outcome: AccessRequest.Outcome, *, actor: Actor, **said: Any) -> None:
    if not request.is_waiting:
        raise RequestRefused(f"This request is {request.state} already.")
    _end(request, outcome, actor=actor, **said)


def _end(
    request: AccessRequest,
    outcome: AccessRequest.Outcome,
    *,
    actor: Actor,
    note: str = "",
    grant: Grant | None = None,
) -> None:
    request.outcome, request.decided_at, request.decided_by = outcome, timezone.now(), actor.name
    request.note, request.grant = note.strip(), grant
    request.save(update_fields=["outcome", "decided_at", "decided_by", "note", "grant"])
    until: datetime | None = grant.ends_at if grant else None
    _record(_ACTIONS[outcome], request, actor=actor, note=request.note, until=until.isoformat() if until else None)


def _record(
    action: AuditAction,
    request: AccessRequest,
    *,
    actor: Actor,
    outcome: Outcome = Outcome.ALLOWED,
    code: str = "",
    **more: Any,
) -> None:
    about = {"request": request.pk, "user": request.user.username, "user_id": request.user_id, "hours": request.hours}
    audit.record(
        action,
        actor=actor,
        outcome=outcome,
        reason=code,
        namespace=audit.printable(request.namespace_name),
        details=about | {name: value for name, value in more.items() if value},
    )
