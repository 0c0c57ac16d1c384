"""Who is calling? The first credential that is present decides; credentials are never mixed.

A request with an `Authorization` or `Authorization-Extras` header is in bearer mode: its cookie is not
looked at, and a token that is not valid is refused.
"""

from django.http import HttpRequest

from codec.callers import api_token, bearer, session
from codec.callers.issuers import AUTHORIZATION, EXTRAS
from codec.callers.principal import Principal


def in_bearer_mode(request: HttpRequest) -> bool:
    return AUTHORIZATION in request.headers or EXTRAS in request.headers


def authenticate(request: HttpRequest) -> Principal:
    """Return who is calling. Raises NotSignedIn, whose `reason` says which credential failed, and KeysUnavailable."""
    if not in_bearer_mode(request):
        return session.authenticate(request)
    if token := api_token.token_in(request.headers.get(AUTHORIZATION, "")):
        return api_token.authenticate(token)
    return bearer.authenticate(request, bearer.read_authorization(request))
