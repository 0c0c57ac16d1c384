"""The only writer of grants. Every change is recorded in the same transaction; so is an attempt to grant to oneself."""

from datetime import datetime
from typing import Any, Required, TypedDict, Unpack

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from codec.models import VERBS, Grant, GrantQuerySet, GroupMapping, User
from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction, Outcome
from keys.models import Namespace

MAX_REASON = 200
TOO_LONG = f"Say it in at most {MAX_REASON} characters."
TO_ONESELF = "Nobody can give a grant to themselves. Ask another administrator, or use the command line."
OPEN_ENDED = "codec.give_open_ended_grant"

Subject = User | Group


class GrantRefused(Exception):
    """The grant cannot be given or revoked; the message says why and may be shown."""


class ToOneself(GrantRefused):
    """Somebody tried to give themselves a right."""


class Terms(TypedDict, total=False):
    """What a grant says. Without `starts_at` it begins now; without `ends_at` it has no end."""

    decode: bool
    encode: bool
    download: bool
    lease: bool
    starts_at: datetime | None
    ends_at: datetime | None
    reason: Required[str]
    ticket: str
    source: Grant.Source


def grants_in_force(user: User, now: datetime | None = None) -> GrantQuerySet:
    """Return what `user` may use now, by grants to them and to their groups."""
    grants = Grant.objects.in_force(now or timezone.now()).reaching(user.pk).filter(namespace__retired_at=None)
    return grants.select_related("namespace", "user", "group").order_by("namespace__name", "pk")


def to(subject: Subject) -> dict[str, Any]:
    """Return the filter for the grants to exactly this user or group."""
    return {"user": subject} if isinstance(subject, User) else {"group": subject}


def refusal(subject: Subject, namespace: Namespace, *, actor: Actor, **terms: Unpack[Terms]) -> GrantRefused | None:
    """Return why this grant cannot be given, or None."""
    if concerns(actor, subject) and terms.get("source") != Grant.Source.BREAK_GLASS:
        return ToOneself(_membership(subject) + TO_ONESELF)
    if why_not := _wrong_with(terms, actor):
        return GrantRefused(why_not)
    return GrantRefused("This namespace is retired.") if namespace.retired_at is not None else None


def concerns(actor: Actor, subject: Subject) -> bool:
    """True if a grant to `subject` would be a grant to who acts."""
    if actor.kind != ActorKind.USER:
        return False
    if isinstance(subject, Group):
        return subject.user_set.filter(pk=actor.id).exists()
    owner = subject.owner_group
    return actor.id == str(subject.pk) or (owner is not None and owner.user_set.filter(pk=actor.id).exists())


def _membership(subject: Subject) -> str:
    """Return how a grant to a group, or to a service, would be one to who acts."""
    if isinstance(subject, Group):
        return f"You are in the group {subject}. "
    return f"You are in the group that {subject} belongs to. " if subject.is_service else ""


def give_grant(subject: Subject, namespace: Namespace, *, actor: Actor, **terms: Unpack[Terms]) -> Grant:
    """Give a user or a group these verbs on `namespace`. Raises GrantRefused.

    One given by hand that begins at once replaces those that were given by hand. What was asked for, and
    break-glass, stands beside them and ends by itself.
    """
    if why_not := refusal(subject, namespace, actor=actor, **terms):
        record_refusal(why_not, subject, namespace, actor=actor)
        raise why_not
    with transaction.atomic():
        grant = _build(subject, namespace, actor, terms)
        if grant.source in {Grant.Source.BY_HAND, Grant.Source.SSO_GROUP} and grant.starts_at <= grant.granted_at:
            _replace(grant, actor=actor)
        grant.save()
        audit.record(
            AuditAction.GRANT_GIVEN,
            actor=actor,
            reason="break_glass" if grant.is_break_glass else "",
            namespace=namespace.name,
            details=_told(grant) | {"reason": grant.reason},
        )
    return grant


def record_refusal(refused: GrantRefused, subject: Subject, namespace: Namespace, *, actor: Actor) -> None:
    """Record an attempt to grant to oneself. Other refusals are slips, and are not."""
    if isinstance(refused, ToOneself):
        audit.record(
            AuditAction.GRANT_GIVEN,
            actor=actor,
            outcome=Outcome.DENIED,
            reason="to_oneself",
            namespace=namespace.name,
            details=_named(subject),
        )


@transaction.atomic
def revoke_grant(grant: Grant, *, actor: Actor, reason: str) -> None:
    """End a grant from the very next request on. Raises GrantRefused when it has ended already, or without a reason."""
    if not reason.strip():
        raise GrantRefused("Say why the grant ends.")
    if len(reason) > MAX_REASON:
        raise GrantRefused(TOO_LONG)
    current = Grant.objects.select_for_update().get(pk=grant.pk)
    if current.is_over:
        raise GrantRefused("This grant has ended already.")
    _end(current, actor=actor, reason=reason.strip())


def _wrong_with(terms: Terms, actor: Actor) -> str | None:
    starts_at, ends_at, now = terms.get("starts_at"), terms.get("ends_at"), timezone.now()
    if not any(terms.get(verb) for verb in VERBS):
        return "Choose at least one: decode, encode, download or lease."
    if not terms["reason"].strip():
        return "Say why this is needed."
    if len(terms["reason"]) > MAX_REASON:
        return TOO_LONG
    if ends_at is None and not _may_leave_open(actor):
        return "Say when it ends: you may not give grants without an end."
    if ends_at is not None and ends_at <= max(starts_at or now, now):
        return "The grant must end after it starts, and not in the past."
    return None


def _may_leave_open(actor: Actor) -> bool:
    """The command line may, and people who have the permission."""
    if actor.kind == ActorKind.COMMAND:
        return True
    person = User.objects.filter(pk=actor.id).first() if actor.id else None
    return person is not None and person.has_perm(OPEN_ENDED)


def _build(subject: Subject, namespace: Namespace, actor: Actor, terms: Terms) -> Grant:
    now = timezone.now()
    return Grant(
        **to(subject),
        namespace=namespace,
        **{verb: bool(terms.get(verb)) for verb in VERBS},
        starts_at=terms.get("starts_at") or now,
        ends_at=terms.get("ends_at"),
        reason=terms["reason"].strip(),
        ticket=terms.get("ticket", "").strip(),
        source=terms.get("source") or _source_for(subject),
        granted_by=actor.name,
        granted_at=now,
    )


def _source_for(subject: Subject) -> Grant.Source:
    """Who belongs to a group that the identity provider fills, is the provider's word: the grant says so."""
    filled = isinstance(subject, Group) and GroupMapping.objects.filter(group=subject).exists()
    return Grant.Source.SSO_GROUP if filled else Grant.Source.BY_HAND


def _replace(grant: Grant, *, actor: Actor) -> None:
    former = Grant.objects.not_over(grant.granted_at).filter(**to(grant.subject), namespace=grant.namespace)
    for each in former.filter(source__in=[Grant.Source.BY_HAND, Grant.Source.SSO_GROUP]).select_for_update():
        _end(each, actor=actor, reason="replaced by a new grant")


def _end(grant: Grant, *, actor: Actor, reason: str) -> None:
    grant.revoked_at, grant.revoked_by, grant.revoke_reason = timezone.now(), actor.name, reason
    grant.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
    audit.record(
        AuditAction.GRANT_REVOKED,
        actor=actor,
        namespace=grant.namespace.name,
        details=_told(grant) | {"reason": reason},
    )


def _told(grant: Grant) -> dict[str, Any]:
    """Return what audit records say of a grant."""
    return _named(grant.subject) | {
        "grant": grant.pk,
        "verbs": grant.verbs,
        "from": grant.starts_at.isoformat(),
        "until": grant.ends_at.isoformat() if grant.ends_at else None,
        "source": str(grant.source),
        "ticket": grant.ticket,
    }


def _named(subject: Subject) -> dict[str, Any]:
    if isinstance(subject, User):
        return {"user": subject.username, "user_id": subject.pk}
    return {"group": subject.name, "group_id": subject.pk}
