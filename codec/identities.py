"""Which user is (issuer, subject)? An identity provider's word becomes a user here, for sign-in and tokens alike.

An e-mail address never names a user. It only opens an invitation, once; from then on issuer and subject count.
"""

from django.db import transaction
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


@transaction.atomic
def bind_invitation(issuer: str, subject: str, email: str) -> User | None:
    """Bind `subject` to the active person whom an open invitation of `issuer` expects under `email`, and return them.

    The caller vouches that the provider has verified the address. An invitation is used up by it: who comes with
    the same address and another subject finds none. Returns the user of a subject that is bound already, and None
    when nobody is expected. Recorded as identity:bound, by whoever keys.actor says acts.
    """
    if not is_usable(subject) or not is_usable(email):
        return None
    invitation = _lock_open_invitation(issuer, email)
    if user := find_user(issuer, subject):  # looked up under the lock: a twin of this request may have been faster
        return user
    if invitation is None:
        return None
    invitation.bound_at = timezone.now()
    invitation.save(update_fields=["bound_at"])
    Identity.objects.create(user=invitation.user, issuer=issuer, subject=subject)
    _record(invitation, subject)
    return invitation.user


def is_usable(text: str) -> bool:
    """True for printable ASCII that fits the columns: what OpenID Connect Core 2 allows a subject to be.

    Addresses outside ASCII open no invitation: letters that look like others, or fold to others, cannot deceive.
    """
    return 0 < len(text) <= _MAX_TEXT and text.isascii() and text.isprintable()


def _lock_open_invitation(issuer: str, email: str) -> Invitation | None:
    waiting = Invitation.objects.select_for_update(of=("self",)).select_related("user")
    waiting = waiting.filter(issuer=issuer, bound_at=None, user__is_active=True, user__is_service=False)
    same = [i for i in waiting.filter(email__iexact=email) if i.email.isascii() and i.email.lower() == email.lower()]
    return same[0] if same else None


def _record(invitation: Invitation, subject: str) -> None:
    details = {
        "user": invitation.user.username,
        "user_id": invitation.user_id,
        "issuer": invitation.issuer,
        "subject": subject,
        "invited_by": invitation.invited_by,
    }
    audit.record(AuditAction.IDENTITY_BOUND, actor=current(), details=details)
