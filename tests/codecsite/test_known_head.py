"""A head is known again byte for byte, and only when the parser and we see the same body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsite.known_head import KnownHead, known_head

HEAD = b"POST /decode HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-Namespace: default\r\n\r\n"
HEADERS = [(b"host", b"x"), (b"content-length", b"3"), (b"x-namespace", b"default")]


def request(body: bytes, head: bytes = HEAD) -> bytes:
    return head % len(body) + body


@pytest.fixture
def known() -> KnownHead:
    found = known_head(request(b"abc"), HEADERS, 3)
    assert found is not None
    return found


@given(st.binary(max_size=300))
def test_body_of_any_size_is_found(body):
    assert known_head(request(b"abc"), HEADERS, 3).body_of(request(body)) == body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request(b"abc")[:-1],
        request(b"abc") + b"d",
        request(b"abc") * 2,
        request(b"abc").replace(b"default", b"another"),
        request(b"abc").replace(b"default", b"Default"),
        request(b"abc").replace(b"POST", b"GET "),
        request(b"abc").replace(b": 3", b": +3"),
        request(b"abc").replace(b": 3", b": -3"),
        request(b"abc").replace(b": 3", b":  3"),
        request(b"abc").replace(b": 3", b": 3 "),
        request(b"abc").replace(b": 3", b": "),
        request(b"abc").replace(b": 3", b": 0x3"),
        request(b"abc").replace(b": 3", b": 3, 3"),
        request(b"abc").replace(b": 3\r\n", b": 3\n"),
        request(b"abc").replace(b": 3", b": 0000000003"),
        request(b"abc").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        b"\r\n" + request(b"abc"),
    ],
)
def test_anything_else_is_the_parsers(known, data):
    assert known.body_of(data) is None


@pytest.mark.parametrize(
    ("data", "headers", "body_size"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", [(b"host", b"x")], 0),
        # the parser saw another body than a search for the end of the head does
        (b"POST / HTTP/1.1\nContent-Length: 50\n\nx\r\nContent-Length: 3\r\n\r\nabc", [(b"content-length", b"50")], 26),
        (request(b"abc"), HEADERS, 2),
        (request(b"abc"), [*HEADERS, (b"content-length", b"3")], 3),
        (request(b"abc"), [(b"host", b"x"), (b"content-length", b"4")], 3),
        (request(b"abc", HEAD.replace(b"Host: x", b"Content-Length: 3")), HEADERS, 3),
        (request(b"abc", HEAD.replace(b"Content-Length: %d", b"Content-Length : %d")), HEADERS, 3),
        (request(b"abc", HEAD.replace(b"Content-Length: %d", b"X: y\r\n Content-Length: %d")), [(b"x", b"y")], 3),
        (request(b"abcd")[:-1], HEADERS, 3),
    ],
)
def test_head_that_two_could_read_in_two_ways_is_not_known(data, headers, body_size):
    assert known_head(data, headers, body_size) is None
