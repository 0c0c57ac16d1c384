"""The sessions of a person, for looking at and for ending. Ending is recorded in the same transaction.

What is known of a session's start travels in its data, under SIGN_IN, and from there into the columns of UserSession:
the session is saved in many places, and each of them writes the whole row.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from codec import request_facts
from codec.browser_name import browser_name
from codec.models import User, UserSession
from codec.session_store import SIGN_IN
from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction

MAX_REASON = 200


class EndingRefused(Exception):
    """The sessions cannot be ended; the message says why and may be shown."""


def note_sign_in(request: HttpRequest) -> None:
    """Keep with the session when, where and with which browser it began, and fix its end.

    Its age counts from signing in, however often it is saved later.
    """
    now, user_agent = timezone.now(), request.headers.get("User-Agent", "")
    request.session.set_expiry(now + timedelta(seconds=settings.SESSION_COOKIE_AGE))
    request.session[SIGN_IN] = {
        "started_at": now.isoformat(),
        "address": audit.printable(request_facts.client_address(request)),
        "browser": browser_name(user_agent),
        "user_agent": audit.printable(user_agent),
    }


def open_sessions(user: User) -> QuerySet[UserSession]:
    """Return the sessions that would still be let in, the last used one first."""
    now = timezone.now()
    seen_since = now - timedelta(seconds=settings.CODEC_SESSION_IDLE_SECONDS)
    sessions = UserSession.objects.filter(user_id=user.pk, expire_date__gt=now, last_seen_at__gt=seen_since)
    return sessions.order_by("-last_seen_at")


@transaction.atomic
def end_session(user: User, label: str, *, actor: Actor) -> None:
    """End the session of `user` that `label` names. Raises EndingRefused."""
    if not UserSession.objects.filter(user_id=user.pk, session_key__startswith=label).delete()[0]:
        raise EndingRefused("That session has ended already.")
    _record(user, {"session": label}, actor=actor)


@transaction.atomic
def end_all_sessions(user: User, *, actor: Actor, reason: str) -> int:
    """End every session of `user`, in one statement, and return how many there were. Raises EndingRefused."""
    if not reason.strip() or len(reason) > MAX_REASON:
        raise EndingRefused(f"Say why, in at most {MAX_REASON} characters.")
    number, _ = UserSession.objects.filter(user_id=user.pk).delete()
    _record(user, {"sessions": number, "reason": reason.strip()}, actor=actor)
    return number


def _record(user: User, what: dict[str, Any], *, actor: Actor) -> None:
    details = {"user": user.username, "user_id": user.pk} | what
    audit.record(AuditAction.SESSION_ENDED, actor=actor, details=details)
