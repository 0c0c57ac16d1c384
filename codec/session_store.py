"""Django's database session store, keeping only a hash of the cookie and the user it belongs to."""

import hashlib
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils import timezone


def digest(session_key: str) -> str:
    """Return the SHA-256 of a session cookie's value, in hex."""
    return hashlib.sha256(session_key.encode()).hexdigest()


class SessionStore(DatabaseStore):
    """Everything in the database is looked up and stored under `digest(session_key)`."""

    @classmethod
    def get_model_class(cls) -> type[AbstractBaseSession]:
        from codec.models import UserSession  # the engine is imported before the apps are ready

        return UserSession

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        stored = digest(self.session_key or "")
        found = self.model.objects.filter(session_key=stored, expire_date__gt=timezone.now()).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        row.user_id = data.get(SESSION_KEY)  # type: ignore[attr-defined]
        return row

    def delete(self, session_key: str | None = None) -> None:
        session_key = session_key or self.session_key
        if session_key:
            super().delete(digest(session_key))
