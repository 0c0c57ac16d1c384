"""Who is expected from the provider, and what its groups mean here: the writers of those rows. Each act is recorded."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from codec.identities import is_usable
from codec.models import GroupMapping, Identity, Invitation, User
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.errors import KeysError


class NotExpected(KeysError):
    """Such a row cannot be made. The message says why."""


@transaction.atomic
def invite(user: User, email: str, issuer: str, *, actor: Actor) -> Invitation:
    """Let the first person who signs in at `issuer` with this verified address be `user`. Raises NotExpected."""
    _check(user, issuer, email)
    try:
        validate_email(email)
    except ValidationError as error:
        raise NotExpected("That is no e-mail address.") from error
    invitation = Invitation(user=user, email=email.lower(), issuer=issuer, invited_by=actor.name)
    _save(invitation, "Somebody is invited under this address already.")
    _record(AuditAction.IDENTITY_INVITED, user, actor, issuer=issuer, email=invitation.email)
    return invitation


@transaction.atomic
def withdraw(invitation: Invitation, *, actor: Actor) -> None:
    """Expect nobody under this invitation any more. Who has used it keeps their identity."""
    _record(AuditAction.IDENTITY_UNINVITED, invitation.user, actor, issuer=invitation.issuer, email=invitation.email)
    invitation.delete()


@transaction.atomic
def bind(user: User, issuer: str, subject: str, *, actor: Actor) -> Identity:
    """Let `subject` at `issuer` be `user`: for providers that verify no addresses. Raises NotExpected."""
    _check(user, issuer, subject)
    identity = Identity(user=user, issuer=issuer, subject=subject)
    _save(identity, "This subject is somebody here already.")
    _record(AuditAction.IDENTITY_BOUND, user, actor, issuer=issuer, subject=subject)
    return identity


@transaction.atomic
def unbind(identity: Identity, *, actor: Actor) -> None:
    """Let the subject be nobody here. Sessions go on: to end those, disable the user."""
    _record(AuditAction.IDENTITY_UNBOUND, identity.user, actor, issuer=identity.issuer, subject=identity.subject)
    identity.delete()


@transaction.atomic
def map_group(mapping: GroupMapping, *, actor: Actor) -> None:
    """Save a mapping. It counts from each person's next sign-in."""
    _save(mapping, "This group is mapped already.")
    audit.record(AuditAction.GROUP_MAPPED, actor=actor, details=_describe(mapping))


@transaction.atomic
def unmap_group(mapping: GroupMapping, *, actor: Actor) -> None:
    """Delete a mapping. Memberships that it gave are taken back at each person's next sign-in."""
    audit.record(AuditAction.GROUP_UNMAPPED, actor=actor, details=_describe(mapping))
    mapping.delete()


def refusal(user: User, issuer: str, name: str) -> str:
    """Return why nobody called `name` at `issuer` can be `user`, or nothing. `name` is an address or a subject."""
    if user.is_service:
        return f"{user} is a service: it cannot sign in."
    if not is_usable(issuer) or not is_usable(name):
        return "Use printable ASCII, at most 255 characters."
    return ""


def _check(user: User, issuer: str, name: str) -> None:
    if why := refusal(user, issuer, name):
        raise NotExpected(why)


def _save(row: Invitation | Identity | GroupMapping, refusal: str) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise NotExpected(refusal) from error


def _record(action: AuditAction, user: User, actor: Actor, **facts: str) -> None:
    audit.record(action, actor=actor, details={"user": user.username, "user_id": user.pk, **facts})


def _describe(mapping: GroupMapping) -> dict[str, str]:
    return {"issuer": mapping.issuer, "provider_group": mapping.provider_group, "group": mapping.group.name}
