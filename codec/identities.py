"""Which user is (issuer, subject)? An identity provider's word becomes a user here, for sign-in and tokens alike.

An e-mail address never names a user. It only opens an invitation, once; from then on issuer and subject count.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from codec.models import Identity, Invitation, User
from keys import audit
from keys.actor import current
from keys.audit import AuditAction

_MAX_TEXT = 255


def find_user(issuer: str, subject: str) -> User | None:
    """Return the user bound to `subject` at `issuer`, active or not, a service or not; None when there is none."""
    if not is_usable(issuer) or not is_usable(subject):
        return None
    identity = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
    return identity.user if identity else None


def bind_invitation(issuer: str, subject: str, email: str) -> User | None:
    """Bind `subject` to the active person whom an open invitation of `issuer` expects under `email`, and return them.

    The caller vouches that the provider has verified the address. The invitation is used up by it: who comes later
    with the same address and another subject finds none. Returns the user of a subject that is bound already, and
    None when nobody is expected. Recorded as identity:bound, by whoever keys.actor says acts.
    """
    if not is_usable(subject) or not is_usable(email):
        return None
    if not _open_invitations(issuer, email).exists():  # asked first, without a lock: strangers may ask often
        return find_user(issuer, subject)
    return _bind(issuer, subject, email)


def is_usable(text: str) -> bool:
    """True for printable ASCII that fits the columns: what OpenID Connect Core 1.0, section 2, lets a subject be.

    An address outside ASCII opens no invitation, so that letters which look like others, or fold to them, cannot
    deceive anybody.
    """
    return 0 < len(text) <= _MAX_TEXT and text.isascii() and text.isprintable()


@transaction.atomic
def _bind(issuer: str, subject: str, email: str) -> User | None:
    waiting = _open_invitations(issuer, email).select_for_update(of=("self",)).select_related("user")
    invitation = next((each for each in waiting if _same_address(each.email, email)), None)
    if user := find_user(issuer, subject):  # under the lock: a twin of this request may have been faster
        return user
    if invitation is None:
        return None
    invitation.bound_at = timezone.now()
    invitation.save(update_fields=["bound_at"])
    Identity.objects.create(user=invitation.user, issuer=issuer, subject=subject)
    _record(invitation, subject)
    return invitation.user


def _open_invitations(issuer: str, email: str) -> QuerySet[Invitation]:
    invitations = Invitation.objects.filter(issuer=issuer, email__iexact=email, bound_at=None)
    return invitations.filter(user__is_active=True, user__is_service=False)


def _same_address(invited: str, email: str) -> bool:
    """Compare as ASCII: a database's own idea of letter case may let a dotless or a long letter pass for its twin."""
    return invited.isascii() and invited.lower() == email.lower()


def _record(invitation: Invitation, subject: str) -> None:
    details = {
        "user": invitation.user.username,
        "user_id": invitation.user_id,
        "issuer": invitation.issuer,
        "subject": subject,
        "invited_by": invitation.invited_by,
    }
    audit.record(AuditAction.IDENTITY_BOUND, actor=current(), details=details)
