"""What every codec endpoint does around its view: the browser rules before it, the one error map after it."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from codec import refusals, request_facts, storage_access
from codec.callers import in_bearer_mode
from codec.callers.session import COOKIES_BLOCKED
from codec.errors import (
    CodecError,
    HttpsRequired,
    KeysUnavailable,
    MalformedBody,
    NamespaceMissing,
    NotAllowed,
    NotSignedIn,
    OriginRefused,
    TooLarge,
    Unavailable,
    WrongMediaType,
    WrongMethod,
)
from keys import actor
from keys.errors import AuditUnavailable, VaultUnavailable

View = Callable[[HttpRequest], HttpResponse]

BEFORE_CALLER_IS_KNOWN = (
    WrongMethod,
    WrongMediaType,
    HttpsRequired,
    OriginRefused,
    NamespaceMissing,
    NotSignedIn,
    KeysUnavailable,
)


def codec_endpoint(view: View) -> View:
    """Make `view` an endpoint of the codec protocol. Exempt from CSRF tokens because of check_browser_rules."""

    def checked(request: HttpRequest) -> HttpResponse:
        check_browser_rules(request)
        if in_bearer_mode(request):
            actor.set_current(lambda: request_facts.nobody(request))  # not whom its cookie would name
        return view(request)

    @csrf_exempt
    @wraps(view)
    def endpoint(request: HttpRequest) -> HttpResponse:
        return seal(answer(checked, request))

    return endpoint


def page_endpoint(view: View) -> View:
    """Make `view` answer a script of one of our own pages, with the protocol's errors. CSRF tokens are needed."""

    @wraps(view)
    def endpoint(request: HttpRequest) -> HttpResponse:
        return seal(answer(view, request))

    return endpoint


def answer(view: View, request: HttpRequest) -> HttpResponse:
    """Return what `view` answers, or the problem that it raises: the one error map."""
    try:
        return view(request)
    except BEFORE_CALLER_IS_KNOWN as error:
        refusals.count(request, error.reason, credential=error.credential)
        if error.reason == COOKIES_BLOCKED:
            storage_access.notice(request)
        return problem(request, error)
    except CodecError as error:
        return problem(request, error)
    except (DatabaseError, VaultUnavailable, AuditUnavailable):
        return problem(request, Unavailable())


def check_browser_rules(request: HttpRequest) -> None:
    """Refuse what a page of another site could make a browser send. Runs before body and session are looked at.

    Together these rules are the protection against cross-site request forgery: only a request that the browser
    has preflighted for a configured origin passes, or one that carries its credential in a header.
    Raises WrongMethod, WrongMediaType, HttpsRequired, OriginRefused.
    """
    if request.method != "POST":
        raise WrongMethod
    if not _is_json(request.META.get("CONTENT_TYPE", "")):
        raise WrongMediaType
    if settings.HTTPS and not request.is_secure():
        raise HttpsRequired
    origin = request.headers.get("Origin")
    if origin is None and not in_bearer_mode(request):
        raise OriginRefused("Without a token, a request must come from a configured Web UI origin.")
    if origin is not None and origin not in settings.CODEC_UI_ORIGINS:
        raise OriginRefused
    if request.headers.get("Sec-Fetch-Mode", "cors") != "cors":
        raise OriginRefused(reason="fetch_mode_refused")


def read_body(request: HttpRequest) -> bytes:
    """Return the body. Raises TooLarge, MalformedBody."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.CODEC_MAX_BODY_BYTES:
        raise TooLarge(f"The body is larger than {settings.CODEC_MAX_BODY_BYTES} bytes.")
    try:
        return request.body
    except UnreadablePostError as error:
        raise MalformedBody("The body broke off.") from error


def problem(request: HttpRequest, error: CodecError) -> HttpResponse:
    """Return the error as application/problem+json (RFC 9457)."""
    request.META["codec.reason"] = error.code if isinstance(error, NotAllowed) else error.reason
    body = {
        "title": HTTPStatus(error.status).phrase,
        "status": int(error.status),
        "detail": error.detail,
        "code": error.code,
        "request_id": request.META.get("REQUEST_ID", ""),
    }
    response = JsonResponse(body, status=error.status, content_type="application/problem+json")
    response["Content-Length"] = str(len(response.content))  # not every refusal reaches CommonMiddleware
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if isinstance(error, WrongMethod):
        response["Allow"] = "POST, OPTIONS"
    if isinstance(error, NotSignedIn):
        response["WWW-Authenticate"] = _ways_in(error)
    return response


def seal(response: HttpResponse) -> HttpResponse:
    """Keep an answer of the protocol out of caches and out of the renderer."""
    response["Cache-Control"] = "no-store"
    response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return response


def _ways_in(error: NotSignedIn) -> str:
    """Return the challenges of a 401 (RFC 9110, section 11.6.1): the sign-in page, or a token (RFC 6750, section 3)."""
    bearer = 'Bearer error="invalid_token"' if error.reason.startswith("token_") else "Bearer"
    return f'CodecSession login="{settings.CODEC_PUBLIC_URL}/login/", {bearer}'


def _is_json(content_type: str) -> bool:
    media_type, _, parameter = content_type.partition(";")
    if media_type.strip().lower() != "application/json":
        return False
    return parameter.strip().lower() in {"", "charset=utf-8", 'charset="utf-8"'}
