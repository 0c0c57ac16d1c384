"""Requests to the provider: https, no redirects, five seconds, small answers, JSON objects.

Certificates are checked against the system's authorities; SSL_CERT_FILE names others.
"""

import base64
import json
import time
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import quote_plus, urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings

from codec.callers.jwks import is_safe_url

MAX_BYTES = 256 * 1024


class NoAnswer(Exception):
    """The provider did not answer as it should. The message says how, and holds nothing of what it sent."""


def get_json(url: str, *, bearer: str = "") -> dict[str, Any]:
    """Return the JSON object at `url`. Raises NoAnswer."""
    return _ask(Request(url, headers={"Authorization": f"Bearer {bearer}"} if bearer else {}))  # noqa: S310  see _ask


def post_form(url: str, form: dict[str, str], *, basic: tuple[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object that answers a form, sent with HTTP Basic credentials if given. Raises NoAnswer."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if basic:
        user, password = map(quote_plus, basic)  # RFC 6749, section 2.3.1
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return _ask(Request(url, urlencode(form).encode(), headers))  # noqa: S310  see _ask


class _NoRedirect(HTTPRedirectHandler):
    """What is sent is for the endpoint of the discovery document and for nobody else."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def _ask(request: Request) -> dict[str, Any]:
    if not is_safe_url(request.full_url):
        raise NoAnswer("no https URL")
    request.add_header("Accept", "application/json")
    request.add_header("User-Agent", "temporal-codec-server")
    try:
        with build_opener(_NoRedirect).open(request, timeout=settings.OIDC_TIMEOUT) as response:
            return _read(response)
    except HTTPError as error:
        with error:
            raise NoAnswer(f"status {error.code}") from error
    except (OSError, HTTPException) as error:
        raise NoAnswer(type(error).__name__) from error


def _read(response: HTTPResponse) -> dict[str, Any]:
    deadline = time.monotonic() + settings.OIDC_TIMEOUT
    body = b""
    while chunk := response.read1(MAX_BYTES):
        body += chunk
        if len(body) > MAX_BYTES or time.monotonic() > deadline:
            raise NoAnswer("too large or too slow")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoAnswer("no JSON") from error
    if response.status != 200 or not isinstance(answer, dict):
        raise NoAnswer("no JSON object")
    return answer
