"""The head of a request that a connection has brought before, to be known again byte for byte.

A client sends the same head again and again on one connection; only the length of the body differs. So once uvicorn's
parser has read a request, an equal head needs no parsing (ADR 11). The digits of Content-Length are the one part that
may differ. What is not a whole request of exactly this shape is not known, and the parser's.
"""

import re
from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)(?=\r\n)", re.IGNORECASE)
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class KnownHead:
    """What stands before the digits of Content-Length, and what between them and the body."""

    before: bytes
    after: bytes

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body when `data` is one whole request with this head."""
        start = len(self.before)
        if not data.startswith(self.before):
            return None
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        digits = data[start:end]
        if not digits.isdigit() or not data.startswith(self.after, end):
            return None
        body = data[end + len(self.after) :]
        return body if len(body) == int(digits) else None


def known_head(data: bytes, headers: Headers, body_size: int) -> KnownHead | None:
    """Return the head of `data`, from which the parser has read one request with these headers and so large a body.

    None where the parser and a plain search for the end of the head could differ.
    """
    end = data.find(_END) + len(_END)
    lengths = list(_LENGTH.finditer(data, 0, end))
    declared = [value for name, value in headers if name == b"content-length"]
    if (
        len(lengths) != 1
        or declared != [lengths[0][1]]
        or len(data) - end != body_size
        or int(declared[0]) != body_size
    ):
        return None
    return KnownHead(data[: lengths[0].start(1)], data[lengths[0].end(1) : end])
