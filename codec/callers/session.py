"""The session cookie that a browser got at /login/."""

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from codec.callers.principal import Principal
from codec.errors import NotSignedIn
from codec.models import User
from codec.session_store import digest

COOKIES_BLOCKED = "cookies_blocked"


def authenticate(request: HttpRequest) -> Principal:
    """Return the active user of an unexpired session. Raises NotSignedIn."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        blocked = request.headers.get("Sec-Fetch-Storage-Access") == "none"
        raise NotSignedIn(reason=COOKIES_BLOCKED if blocked else "no_credential")
    request.session = type(request.session)(request.COOKIES[settings.SESSION_COOKIE_NAME])  # read anew, not remembered
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active or user.is_service:
        raise NotSignedIn("Your session has ended. Sign in to the codec server again.", reason="session_ended")
    return Principal(user.pk, user.username, credential_name(request), until=request.session.get_expiry_date())


def credential_name(request: HttpRequest) -> str:
    """Return e.g. "session 1f3a5c7d9b2e": enough to tell sessions apart, useless as a cookie."""
    return f"session {digest(request.session.session_key or '')[:12]}"
