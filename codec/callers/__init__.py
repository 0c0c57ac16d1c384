"""Who is calling? The first credential that is present decides; credentials are never mixed.

A request with an `Authorization` or `Authorization-Extras` header is in bearer mode: its cookie is not
looked at, and a token that is not valid is refused.
"""

from django.http import HttpRequest

from codec.callers import session
from codec.callers.principal import Principal
from codec.errors import NotSignedIn

BEARER_HEADERS = ("Authorization", "Authorization-Extras")


def in_bearer_mode(request: HttpRequest) -> bool:
    return any(header in request.headers for header in BEARER_HEADERS)


def authenticate(request: HttpRequest) -> Principal:
    """Return who is calling. Raises NotSignedIn, whose `reason` says which credential failed."""
    if in_bearer_mode(request):
        raise NotSignedIn("This codec server accepts no such token.", reason="token_refused")
    return session.authenticate(request)
