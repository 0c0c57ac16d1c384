"""The only writer of API tokens. Making and revoking are recorded in the same transaction.

Use is noted once a minute at most.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from codec import token_format
from codec.models import LABEL_LENGTH, ApiToken, User
from codec.token_format import TokenText
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.models import Namespace

MAX_NAME = 60
MAX_REASON = 200
_NOTE_USE_AFTER = timedelta(minutes=1)


class TokenRefused(Exception):
    """The token cannot be made or revoked; the message says why and may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a token shall be good for. `namespaces` of None: every namespace of its owner, later ones too."""

    name: str
    days: int
    namespaces: Collection[Namespace] | None = None
    decode: bool = False
    encode: bool = False


def tokens_of(user: User) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user=user).prefetch_related("namespaces")


def find_token(label: str) -> ApiToken:
    """Return the token that audit records and `list_tokens` call `label`. Raises TokenRefused."""
    token = ApiToken.objects.filter(digest__startswith=label).first() if len(label) == LABEL_LENGTH else None
    if token is None:
        raise TokenRefused("There is no such token.")
    return token


def find_token_by_text(text: str) -> ApiToken:
    """Return the row of a token in clear. Raises TokenRefused."""
    token = ApiToken.objects.filter(digest=token_format.digest(text)).first()
    if token is None:
        raise TokenRefused("There is no such token.")
    return token


def refusal(user: User, wish: Wish) -> str | None:
    """Return why this token cannot be made, or None."""
    longest = settings.CODEC_TOKEN_MAX_DAYS
    faults = {
        f"{user} is disabled.": not user.is_active,
        "Name the token, so that you know it again.": not wish.name.strip(),
        f"A name has at most {MAX_NAME} printable characters.": len(wish.name) > MAX_NAME
        or not wish.name.isprintable(),
        "Choose decode, encode or both.": not (wish.decode or wish.encode),
        "Choose at least one namespace, or every namespace.": wish.namespaces is not None and not wish.namespaces,
        f"A token lasts from 1 to {longest} days.": not 1 <= wish.days <= longest,
    }
    return next((sentence for sentence, holds in faults.items() if holds), None)


@transaction.atomic
def make_token(user: User, wish: Wish, *, actor: Actor, reason: str = "") -> tuple[ApiToken, TokenText]:
    """Make a token of `user`. Its text exists only in what is returned. Raises TokenRefused."""
    if why_not := refusal(user, wish):
        raise TokenRefused(why_not)
    text = token_format.new_token()
    token = ApiToken.objects.create(
        user=user,
        name=wish.name.strip(),
        digest=token_format.digest(text.reveal),
        every_namespace=wish.namespaces is None,
        decode=wish.decode,
        encode=wish.encode,
        created_by=actor.name,
        expires_at=timezone.now() + timedelta(days=wish.days),
    )
    token.namespaces.set(wish.namespaces or [])
    _record(AuditAction.TOKEN_MADE, token, actor=actor, reason=reason)
    return token, text


@transaction.atomic
def revoke_token(token: ApiToken, *, actor: Actor, reason: str) -> None:
    """End a token from the very next request on. Raises TokenRefused: without a reason, or when it is revoked."""
    if not reason.strip():
        raise TokenRefused("Say why the token ends.")
    if len(reason) > MAX_REASON:
        raise TokenRefused(f"Say it in at most {MAX_REASON} characters.")
    current = ApiToken.objects.select_for_update().get(pk=token.pk)
    if current.revoked_at is not None:
        raise TokenRefused("This token is revoked already.")
    current.revoked_at, current.revoked_by, current.revoke_reason = timezone.now(), actor.name, reason.strip()
    current.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
    _record(AuditAction.TOKEN_REVOKED, current, actor=actor, reason=current.revoke_reason)


def note_use(token: ApiToken, now: datetime) -> None:
    """Note that the token was used, unless that was noted within the last minute. Moves no policy epoch."""
    due = now - _NOTE_USE_AFTER
    if token.last_used_at is None or token.last_used_at < due:
        long_ago = Q(last_used_at=None) | Q(last_used_at__lt=due)
        ApiToken.objects.filter(long_ago, pk=token.pk).update(last_used_at=now)


def _record(action: AuditAction, token: ApiToken, *, actor: Actor, reason: str) -> None:
    about = {
        "token": token.label,
        "name": token.name,
        "user": token.user.username,
        "user_id": token.user_id,
        "verbs": token.verbs,
        "namespaces": token.namespace_names,
        "expires_at": token.expires_at.isoformat(timespec="seconds"),
    }
    audit.record(action, actor=actor, details=about | ({"reason": reason} if reason else {}))
