"""Which user signs in when the provider says who came: who is bound to (issuer, subject), an invited or a new one.

An e-mail address never finds a user. Verified by the provider, it opens an invitation that an administrator has made.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from codec.identities import bind_invitation, find_user, is_usable
from codec.models import Identity, User
from codec.oidc.errors import PersonDisabled, PersonUnknown
from keys import audit
from keys.actor import current
from keys.audit import AuditAction

_USERNAME = re.compile(r"[a-z0-9_.@+-]{1,150}")  # what Django lets administrators enter


@dataclass(frozen=True, slots=True)
class Profile:
    """What the provider says of a person beside their subject. `email` is empty unless it vouches for the address."""

    email: str
    first_name: str
    last_name: str


def read_profile(claims: dict[str, Any], userinfo: dict[str, Any]) -> Profile:
    """Take all from one place, so that the address of the one is not verified by the other.

    `xms_edov` is how Microsoft Entra ID says that an address is verified, where it is configured to.
    """
    source = claims if "email" in claims else userinfo
    email = source.get("email")
    is_verified = source.get("email_verified") is True or source.get("xms_edov") in (True, "1", "true")
    usable = email if isinstance(email, str) and is_verified and is_usable(email) else ""
    return Profile(usable, _name(source.get("given_name")), _name(source.get("family_name")))


def find_or_admit(issuer: str, subject: str, profile: Profile) -> User:
    """Return the active person to sign in. Raises PersonUnknown, PersonDisabled."""
    try:
        user = _find_or_admit(issuer, subject, profile)
    except IntegrityError:  # a twin of this request has just admitted them
        user = find_user(issuer, subject)
    if user is None:
        raise PersonUnknown(None if profile.email else "email_unverified", issuer=issuer, subject=subject)
    if not user.is_active or user.is_service:
        raise PersonDisabled(issuer=issuer, subject=subject)
    return user


@transaction.atomic
def _find_or_admit(issuer: str, subject: str, profile: Profile) -> User | None:
    user = find_user(issuer, subject)
    if user is None and profile.email:
        user = bind_invitation(issuer, subject, profile.email)
    if user is None and settings.CODEC_OIDC_CREATE_USERS:
        user = _create(issuer, subject, profile)
    return user


def _create(issuer: str, subject: str, profile: Profile) -> User:
    """Create a user without password, rights or groups."""
    user = User.objects.create_user(
        username=_username(issuer, subject, profile.email.lower()),
        email=profile.email,
        first_name=profile.first_name,
        last_name=profile.last_name,
    )
    Identity.objects.create(user=user, issuer=issuer, subject=subject)
    details = {"user": user.username, "user_id": user.pk, "issuer": issuer, "subject": subject}
    audit.record(AuditAction.IDENTITY_BOUND, actor=current(), details=details)
    return user


def _username(issuer: str, subject: str, email: str) -> str:
    """Return the verified address, unless somebody here has it; otherwise a name that is nobody else's.

    What the provider lets people choose themselves (`preferred_username`) would let them look like others.
    """
    taken = User.objects.filter(Q(username__iexact=email) | Q(email__iexact=email))
    if _USERNAME.fullmatch(email) and not taken.exists():
        return email
    return f"sso-{hashlib.sha256(f'{issuer}|{subject}'.encode()).hexdigest()[:16]}"


def _name(text: object) -> str:
    return "".join(c for c in text if c.isprintable())[:100] if isinstance(text, str) else ""
