"""What the HTTP server leaves to us: bounds on headers, bodies, waiting and memory, before a thread is spent.

The body is read here, in the event loop, so that a slow client holds no thread. Django gets it whole, with a
Content-Length that is true. What has to be refused is marked in the scope as `codec.refusal` and refused by
Django (codec.middleware), so that every answer comes from one place and carries its CORS headers.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import chain
from typing import Any

from django.conf import settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODY = {b"content-length", b"transfer-encoding"}
_SINGLE = {b"x-namespace", b"authorization", b"authorization-extras", b"origin", b"content-type", b"host"}


class Disconnected(Exception):
    """The client went away before its body had arrived."""


class Refused(Exception):
    """The request is refused before Django sees its body; the argument is the mark."""


class Intake:
    """ASGI middleware in front of Django."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope)
        try:
            await self._take_in(scope, body, receive)
            await self._app(scope, body.replay, _closing(send) if "codec.refusal" in scope else send)
        except Disconnected:
            return
        finally:
            self._release(body)

    async def _take_in(self, scope: Scope, body: "_Body", receive: Receive) -> None:
        """Read headers and body into the scope, or mark the scope as refused."""
        try:
            check_request(scope)
            if not body.is_refused_unread:
                self._reserve(body, body.add(await receive()))  # waits for no more than uvicorn has read already
            if body.has_more:
                async with asyncio.timeout(settings.CODEC_BODY_SECONDS):
                    while body.has_more:
                        self._reserve(body, body.add(await receive()))
        except Refused as refusal:
            scope["codec.refusal"] = str(refusal)
        except TimeoutError:
            scope["codec.refusal"] = "body_too_slow"
        if "codec.refusal" in scope:
            self._release(body)  # at once: bodies that are all half here must not make each other fail
        _make_true(scope, body.declared_or_read)

    def _reserve(self, body: "_Body", size: int) -> None:
        if self._bytes_in_flight + size > settings.CODEC_MAX_BYTES_IN_FLIGHT:
            raise Refused("busy")
        self._bytes_in_flight += size
        body.reserved += size

    def _release(self, body: "_Body") -> None:
        self._bytes_in_flight -= body.reserved
        body.drop()


class _Body:
    """One request's body: read up to its limit, then replayed to Django in one message."""

    __slots__ = ("_chunks", "_declared", "_limit", "_read", "has_more", "is_refused_unread", "reserved")

    def __init__(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        self._limit = _body_limit(headers)
        declared = headers.get(b"content-length", b"0")
        self._declared = int(declared) if declared.isdigit() else 0
        self._chunks: list[bytes] = []
        self._read = 0
        self.has_more = False
        self.is_refused_unread = self._declared > self._limit
        self.reserved = 0

    def add(self, message: Message) -> int:
        """Take in what has arrived and return its size. Wants no more once the limit is passed."""
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        self._chunks.append(chunk)
        self._read += len(chunk)
        self.has_more = message.get("more_body", False) and self._read <= self._limit
        return len(chunk)

    @property
    def declared_or_read(self) -> int:
        """The body's size; for one that is too large, a size above the limit, so that Django refuses it unread."""
        if self._declared <= self._limit and self._read <= self._limit:
            return self._read
        return max(self._declared, self._read, settings.CODEC_MAX_BODY_BYTES + 1)

    def drop(self) -> None:
        self._chunks.clear()
        self.reserved = 0

    async def replay(self) -> Message:
        body = b"" if self._read > self._limit else b"".join(self._chunks)
        self._chunks.clear()
        return {"type": "http.request", "body": body, "more_body": False}


def check_request(scope: Scope) -> None:
    """Raise Refused for headers too large in all or ambiguous, and for a query with raw bytes."""
    headers = scope["headers"]
    names = [name for name, _ in headers]
    if (b"upgrade" in names or scope["method"] == "CONNECT") and not _BODY.isdisjoint(names):
        raise Refused("bad_headers")  # httptools hands on no body then, and uvicorn takes it for the next request
    if sum(map(len, chain.from_iterable(headers))) > settings.CODEC_MAX_HEADER_BYTES:
        raise Refused("bad_headers")
    if len(set(names)) < len(names) and any(names.count(name) > 1 for name in _SINGLE):
        raise Refused("bad_headers")
    if not scope["query_string"].isascii():
        scope["query_string"] = b""
        raise Refused("bad_headers")


def _closing(send: Send) -> Send:
    """Return `send`, ending the connection after the answer: what is still on its way belongs to what was refused."""

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return send_and_close


def _body_limit(headers: dict[bytes, bytes]) -> int:
    has_cookie = settings.SESSION_COOKIE_NAME.encode() + b"=" in headers.get(b"cookie", b"")
    if has_cookie or b"authorization" in headers or b"authorization-extras" in headers:
        return int(settings.CODEC_MAX_BODY_BYTES)
    return int(settings.CODEC_MAX_ANONYMOUS_BODY_BYTES)


def _make_true(scope: Scope, length: int) -> None:
    """Drop names with an underscore, which WSGI cannot tell from a hyphen, and say how long the body really is."""
    headers, true_length = scope["headers"], (b"content-length", b"%d" % length)
    if true_length in headers and not any(b"_" in name for name, _ in headers):
        return
    kept = [(name, value) for name, value in headers if b"_" not in name and name != b"content-length"]
    scope["headers"] = [*kept, true_length]
