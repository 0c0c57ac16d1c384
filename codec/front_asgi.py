"""The front layer as ASGI middleware, between the intake, which hands on whole bodies, and Django.

It learns from Django's answers, and repeats what codecsite/protocol.py has not: what a connection brings for the first
time, or in pieces.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

from codec.front import CHANGE_THE_TRANSPORT, Front, Remembered, Repetition, refusal_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PATIENCE = 1.0  # seconds


class FrontMiddleware:
    """`codec.likeness` in the scope is the request's digest, taken before the intake has changed its headers."""

    def __init__(self, app: App, front: Front) -> None:
        self._app = app
        self._front = front
        self._deciding: dict[bytes, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        likeness = scope.get("codec.likeness")
        if likeness is None or "codec.refusal" in scope:
            await self._app(scope, receive, send)
            return
        remembered = self._front.recall_or_renew(likeness) or await self._wait_for_first(likeness)
        if remembered is not None:
            message = await receive()
            repetition = await self._repeat(likeness, remembered, scope, message["body"])
            if repetition is not None:
                await _respond(send, repetition)
                return
            receive = _replaying(message)
        if CHANGE_THE_TRANSPORT.isdisjoint(name for name, _ in scope["headers"]):
            send = self._learning(likeness, scope, send)
        with self._first(likeness):
            await self._app(scope, receive, send)

    async def _wait_for_first(self, likeness: bytes) -> Remembered | None:
        """Where Django decides an equal request, wait for that, but not long: a page of the Web UI sends many at once.

        Where the audit stands still, the first waits out its deadline, and the others have theirs still before them.
        """
        deciding = self._deciding.get(likeness)
        if deciding is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await deciding.wait()
        return self._front.recall(likeness)

    @contextmanager
    def _first(self, likeness: bytes) -> Iterator[None]:
        """Let equal requests wait for this one, unless they wait for another already."""
        if likeness in self._deciding:
            yield
            return
        decided = self._deciding[likeness] = asyncio.Event()
        try:
            yield
        finally:
            del self._deciding[likeness]
            decided.set()

    async def _repeat(self, likeness: bytes, remembered: Remembered, scope: Scope, body: bytes) -> Repetition | None:
        repetition = self._front.repeat(remembered, body)
        if repetition is None:
            self._front.forget(likeness)
            return None
        done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        repetition.commit(lambda error: None if done.done() else done.set_result(error))
        error = await done
        if error is None:
            return repetition
        self._front.forget(likeness)
        if refusal := refusal_of(error):
            scope["codec.refusal"] = refusal
        return None

    def _learning(self, likeness: bytes, scope: Scope, send: Send) -> Send:
        """Return `send`, remembering what Django's answer rested on if it is a 200 that left its permission."""

        async def send_and_learn(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                permission, tally = scope.get("codec.permission"), scope.get("codec.tally")
                sets_cookie = any(name == b"set-cookie" for name, _ in message["headers"])
                if permission is not None and tally is not None and not sets_cookie:
                    self._front.learn(likeness, permission, tally, message["headers"])
            await send(message)

        return send_and_learn


def _replaying(message: Message) -> Receive:
    async def receive() -> Message:
        return message

    return receive


async def _respond(send: Send, repetition: Repetition) -> None:
    own = [(b"content-length", b"%d" % len(repetition.body)), (b"x-request-id", repetition.request_id.encode())]
    headers = [*repetition.remembered.headers, *own]
    repetition.count()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": repetition.body})
