"""What every answer tells the browser, and which requests of other sites are refused."""

import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]

# Chromium applies form-action to the redirect after a form as well: the login's way back to the Web UI.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        f"form-action 'self' {' '.join(settings.CODEC_UI_ORIGINS)}".strip(),
    ]
)
_CODEC_PATH = re.compile(settings.CODEC_PATH)


def browser_headers(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if not _CODEC_PATH.match(request.path_info):
            response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware


def isolate_resources(get_response: GetResponse) -> GetResponse:
    """Refuse what another site requests, unless a person follows a link. Codec paths have rules of their own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if _is_foreign(request) and not _is_link_followed(request) and not _CODEC_PATH.match(request.path_info):
            raise PermissionDenied
        return get_response(request)

    return middleware


def _is_foreign(request: HttpRequest) -> bool:
    return request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}


def _is_link_followed(request: HttpRequest) -> bool:
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
    return request.method == "GET" and navigates and request.headers.get("Sec-Fetch-Dest") == "document"
