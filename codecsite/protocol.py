"""HTTP as uvicorn speaks it, except that a request that the front layer knows is answered here.

Such a request costs neither parsing nor a task nor a trip through ASGI, which together cost more than decoding it
(ADR 9, ADR 11). It is one that came whole in one read, with the very head of the one before it on this connection.
Whatever the front layer cannot answer is uvicorn's, as if nobody had looked at it.
"""

from functools import partial
from typing import Any, cast

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from codec.front import Repetition, front, refusal_of
from codecsite.known_head import KnownHead, known_head

_STATUS = b"HTTP/1.1 200 OK\r\n"


class CodecProtocol(HttpToolsProtocol):
    """One connection. `_known` is the head of the last request, if it can be known again, with its likeness."""

    _known: KnownHead | None = None
    _likeness = b""
    _begun = _completed = 0  # messages, by the parser
    _body_size = 0
    _is_repeating = _is_ending = False
    _behind = b""  # what came while an answer was on its way
    _refusal: str | None = None
    _repeated_at = 0.0

    def data_received(self, data: bytes) -> None:
        if self._is_repeating:
            self._behind += data
            self.flow.pause_reading()
        elif self._known is None or (body := self._known.body_of(data)) is None or not self._repeat(data, body):
            self._parse(data)

    def shutdown(self) -> None:
        if self._is_repeating:
            self._is_ending = True
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is idle. Repeating an answer does not set the timer anew, which costs too much."""
        rest = self._repeated_at + self.timeout_keep_alive - self.loop.time()
        if self._is_repeating or rest > 0:
            self.timeout_keep_alive_task = self.loop.call_later(max(rest, 1), self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun += 1
        self._body_size = 0

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"POST":
            client = self.client[0] if self.client else ""
            self._likeness = front.likeness(client, self.url, self.headers)
            _marks(self.scope)["codec.likeness"] = self._likeness
        if self._refusal is not None:
            _marks(self.scope)["codec.refusal"] = self._refusal
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._body_size += len(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._completed += 1

    def _parse(self, data: bytes) -> None:
        is_whole = self._begun == self._completed
        completed = self._completed
        self._known = None
        super().data_received(data)
        if is_whole and self._begun == self._completed == completed + 1 and self.cycle.keep_alive:
            self._known = known_head(data, self.headers, self._body_size)

    def _repeat(self, data: bytes, body: bytes) -> bool:
        """Repeat the answer to an equal request, once its record is committed; False when Django has to answer."""
        if not self._is_free():
            return False
        remembered = front.recall(self._likeness)
        if remembered is None:
            return False
        repetition = front.repeat(remembered, body)
        if repetition is None:
            front.forget(self._likeness)
            return False
        self._is_repeating = True
        repetition.commit(partial(self._finish, data, repetition))
        return True

    def _is_free(self) -> bool:
        is_crowded = self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency
        return self.cycle.response_complete and not self.flow.write_paused and not is_crowded

    def _finish(self, data: bytes, repetition: Repetition, error: Exception | None) -> None:
        self._is_repeating = False
        if self.transport.is_closing():
            return
        if error is None:
            repetition.count()
            self.transport.write(_as_http(repetition, self.server_state.default_headers))
            self.server_state.total_requests += 1
            self._repeated_at = self.loop.time()
        else:
            self._decide_afresh(data, refusal_of(error))
        if self._is_ending:
            self.shutdown()
        elif self._behind:
            behind, self._behind = self._behind, b""
            self.flow.resume_reading()
            self.data_received(behind)

    def _decide_afresh(self, data: bytes, refusal: str | None) -> None:
        front.forget(self._likeness)
        self._refusal = refusal
        self._parse(data)
        self._refusal = None


def _marks(scope: HTTPScope) -> dict[str, Any]:
    """Return the scope as what it is, a dictionary that holds our marks, too."""
    return cast(dict[str, Any], scope)


def _as_http(repetition: Repetition, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"%b%b%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b" % (
        _STATUS,
        b"".join([b"%b: %b\r\n" % header for header in default_headers]),
        repetition.remembered.head,
        len(repetition.body),
        repetition.request_id.encode(),
        repetition.body,
    )
