"""Who signs in, and how a script does it: as a browser would, through the form."""

import http.client
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

CSRF_COOKIE = "__Host-csrftoken"
SESSION_COOKIE = "__Host-codecsid"


@dataclass(frozen=True, slots=True)
class Person:
    """One of the cast, who can sign in at the codec server."""

    username: str
    password: str = field(repr=False)


def sign_in(codec_url: str, person: Person) -> str:
    """Sign in at /login/ and return the value of a Cookie header for the new session."""
    token = _cookies(_ask(codec_url, "GET"))[CSRF_COOKIE].value
    form = {"username": person.username, "password": person.password, "csrfmiddlewaretoken": token}
    # Set by hand: Python's cookie jars keep Secure cookies from http, browsers make an exception for localhost.
    headers = {"Cookie": f"{CSRF_COOKIE}={token}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = _ask(codec_url, "POST", urlencode(form), headers)
    assert answer.status == 302, f"{person.username} could not sign in: {answer.status}"
    return f"{SESSION_COOKIE}={_cookies(answer)[SESSION_COOKIE].value}"


def sign_out(codec_url: str, cookie: str) -> None:
    """End the session of this Cookie header, through the button on the start page."""
    token = _cookies(_ask(codec_url, "GET"))[CSRF_COOKIE].value
    headers = {"Cookie": f"{cookie}; {CSRF_COOKIE}={token}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = _ask(codec_url, "POST", urlencode({"csrfmiddlewaretoken": token}), headers, path="/logout/")
    assert answer.status == 302, answer.status


def _ask(
    codec_url: str, method: str, body: str = "", headers: dict[str, str] | None = None, *, path: str = "/login/"
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(codec_url).netloc, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def _cookies(answer: http.client.HTTPResponse) -> SimpleCookie:
    cookies = SimpleCookie()
    for header in answer.headers.get_all("Set-Cookie", []):
        cookies.load(header)
    return cookies
