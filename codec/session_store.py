"""Django's database session store, keeping only a hash of the cookie, and whose, since when and until when it is.

A session ends CODEC_SESSION_SECONDS after signing in, or earlier, when it has made no request for
CODEC_SESSION_IDLE_SECONDS.
"""

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils import timezone

if TYPE_CHECKING:
    from codec.models import UserSession

SIGN_IN = "sign_in"  # what codec.sessions keeps in the session's data
_NOTE_SEEN_AFTER = timedelta(minutes=1)


def digest(session_key: str) -> str:
    """Return the SHA-256 of a session cookie's value, in hex."""
    return hashlib.sha256(session_key.encode()).hexdigest()


class SessionStore(DatabaseStore):
    """Everything in the database is looked up and stored under `digest(session_key)`."""

    @classmethod
    def get_model_class(cls) -> "type[UserSession]":
        from codec.models import UserSession  # the engine is imported before the apps are ready

        return UserSession

    def _get_session_from_db(self) -> "UserSession | None":
        now, idle = timezone.now(), timedelta(seconds=settings.CODEC_SESSION_IDLE_SECONDS)
        alive = self.get_model_class().objects.filter(expire_date__gt=now, last_seen_at__gt=now - idle)
        found = alive.filter(session_key=digest(self.session_key or "")).first()
        if found is None:
            self._session_key = None
        elif found.last_seen_at < now - _NOTE_SEEN_AFTER:
            alive.filter(pk=found.pk).update(last_seen_at=now)  # moves no policy epoch
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        row.user_id = data.get(SESSION_KEY)  # type: ignore[attr-defined]
        for name, value in data.get(SIGN_IN, {}).items():
            setattr(row, name, datetime.fromisoformat(value) if name == "started_at" else value)
        return row

    def delete(self, session_key: str | None = None) -> None:
        session_key = session_key or self.session_key
        if session_key:
            super().delete(digest(session_key))
