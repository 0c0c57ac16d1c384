"""An HTTP connection that sends a request's head and body by one call, as browsers and Go do."""

from http.client import HTTPConnection
from typing import Any


class AtOnce(HTTPConnection):
    def _send_output(self, message_body: Any = None, encode_chunked: bool = False) -> None:
        head = b"\r\n".join([*self._buffer, b"", b""])
        self._buffer.clear()
        self.send(head + (message_body or b""))
