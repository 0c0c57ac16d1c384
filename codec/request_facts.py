"""What an audit record says about where a request came from."""

from django.conf import settings
from django.http import HttpRequest

from codec.callers.principal import Principal
from codec.callers.session import credential_name
from codec.models import User
from keys.actor import Actor, ActorKind


def client_address(request: HttpRequest) -> str:
    """Return the address of the client as the outermost trusted proxy saw it.

    Each trusted proxy appends the address it saw to X-Forwarded-For, so the client is the
    CODEC_TRUSTED_PROXIES-th entry from the right; what stands left of it is the client's own invention.
    """
    return address_in(request.headers.get("X-Forwarded-For", ""), str(request.META.get("REMOTE_ADDR", "")))


def address_in(forwarded_for: str, peer: str) -> str:
    """Return the client's address, given the X-Forwarded-For header and the address of the connection."""
    hops: int = settings.CODEC_TRUSTED_PROXIES
    if not hops:
        return peer
    forwarded = [part.strip() for part in forwarded_for.split(",") if part.strip()]
    return forwarded[-hops] if len(forwarded) >= hops else peer


def caller(request: HttpRequest, principal: Principal) -> Actor:
    """Return the actor of a codec request."""
    return _actor(request, id=str(principal.user_id), name=principal.username, credential=principal.credential)


def person(request: HttpRequest, user: User | None = None) -> Actor:
    """Return the actor of a page: `user`, or who is signed in, or nobody."""
    user = user or (request.user if isinstance(request.user, User) else None)
    if user is None:
        return _actor(request, kind=ActorKind.ANONYMOUS)
    return _actor(request, id=str(user.pk), name=user.username, credential=credential_name(request))


def nobody(request: HttpRequest) -> Actor:
    """Return the actor of a request before its caller is known."""
    return _actor(request, kind=ActorKind.ANONYMOUS)


def _actor(
    request: HttpRequest, *, kind: ActorKind = ActorKind.USER, id: str = "", name: str = "", credential: str = ""
) -> Actor:
    return Actor(
        kind=kind,
        id=id,
        name=name,
        credential=credential,
        address=client_address(request),
        web_origin=request.headers.get("Origin", ""),
        user_agent=request.headers.get("User-Agent", ""),
        request_id=request.META.get("REQUEST_ID", ""),
    )
