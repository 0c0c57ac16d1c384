"""HTTP as uvicorn speaks it, except that a small request that the front layer knows is answered here.

Such a request costs neither a task nor a trip through ASGI, which together cost more than decoding it (ADR 9). It is
taken only when all of it came at once. Whatever the front layer cannot answer goes on as any other request does, from
where it stands: uvicorn's cycle of request and response exists from the start, only its task is not started.
"""

from typing import Any, cast

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from codec.front import Remembered, Repetition, front, refusal_of

_STATUS = b"HTTP/1.1 200 OK\r\n"


class CodecProtocol(HttpToolsProtocol):
    """One connection. `_held` is the request that has begun to arrive and that the front layer knows."""

    _held: tuple[RequestResponseCycle, Any] | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:
            self._release()  # the rest of its body may be slow to come

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"POST":
            client = self.client[0] if self.client else ""
            likeness = front.likeness(client, self.url, self.headers)
            _marks(self.scope).update({"codec.likeness": likeness, "codec.remembered": front.recall(likeness)})
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._held is not None and self._held[0] is self.cycle:
            self._answer()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if app is self.app and cycle.more_body and cycle.keep_alive and _marks(cycle.scope).get("codec.remembered"):
            self._held = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def _release(self) -> None:
        assert self._held is not None  # noqa: S101
        (cycle, app), self._held = self._held, None
        super()._start_asgi_task(cycle, app)

    def _answer(self) -> None:
        """Repeat the answer to the held request, once its record is committed."""
        assert self._held is not None  # noqa: S101
        cycle = self._held[0]
        remembered: Remembered = _marks(cycle.scope)["codec.remembered"]
        repetition = None if self.flow.write_paused else front.repeat(remembered, bytes(cycle.body))
        if repetition is None:
            self._decide_afresh(*self._held)
        else:
            app = self._held[1]
            repetition.commit(lambda error: self._finish(cycle, app, repetition, error))
        self._held = None

    def _decide_afresh(self, cycle: RequestResponseCycle, app: Any, refusal: str | None = None) -> None:
        marks = _marks(cycle.scope)
        front.forget(marks["codec.likeness"])
        del marks["codec.remembered"]
        if refusal is not None:
            marks["codec.refusal"] = refusal
        super()._start_asgi_task(cycle, app)

    def _finish(self, cycle: RequestResponseCycle, app: Any, repetition: Repetition, error: Exception | None) -> None:
        if cycle.disconnected:
            return
        if error is not None:
            self._decide_afresh(cycle, app, refusal_of(error))
            return
        repetition.count()
        self.transport.write(_as_http(repetition, self.server_state.default_headers))
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()


def _marks(scope: HTTPScope) -> dict[str, Any]:
    """Return the scope as what it is, a dictionary that holds our marks, too."""
    return cast(dict[str, Any], scope)


def _as_http(repetition: Repetition, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"%b%b%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b" % (
        _STATUS,
        b"".join([b"%b: %b\r\n" % header for header in default_headers]),
        repetition.remembered.head,
        len(repetition.body),
        repetition.request_id,
        repetition.body,
    )
