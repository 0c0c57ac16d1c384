"""`manage.py serve` as a process, and what it does with bytes that no good client sends."""

import http.client
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings

from demo.codec_server import Installation, set_up
from demo.processes import free_port, running
from tests import canary, environment
from tests.conftest import UI_ORIGIN

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {"CODEC_BODY_SECONDS": "2", "CODEC_MAX_BODY_BYTES": "200000", "CODEC_MAX_BYTES_IN_FLIGHT": "400000"}
PATIENCE = 5  # seconds until an answer counts as missing

HEADERS = {"Host": "localhost", "Origin": UI_ORIGIN, "Content-Type": "application/json", "X-Namespace": "default"}
BODY = b'{"payloads":[]}'


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connection:
    """One TCP connection to the server, on which bytes are sent as given."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened

    def send(self, *parts: bytes) -> "Connection":
        self.socket.sendall(b"".join(parts))
        return self

    def answer(self) -> Answer:
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        answer = Answer(response.status, response.headers, response.read())
        response.close()
        canary.check("an answer of the server", answer.body)
        return answer

    def is_closed(self) -> bool:
        """Whether the server ends the connection, having sent nothing more."""
        return self.socket.recv(1) == b""


def head(request: str = "POST /decode", *more: str, version: str = "1.1", **changed: str | None) -> bytes:
    """Return a request up to its body. Headers given as keywords change or, as None, leave out the usual ones."""
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in (HEADERS | names).items() if value is not None]
    return "\r\n".join([f"{request} HTTP/{version}", *lines, *more, "", ""]).encode("latin-1")


def sized(body: bytes = BODY) -> str:
    return f"Content-Length: {len(body)}"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Server:
    installation: Installation
    cookie: str = field(repr=False)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with socket.create_connection(("127.0.0.1", self.installation.port), PATIENCE) as opened:
            yield Connection(opened)

    def ask(self, *parts: bytes) -> Answer:
        with self.connect() as connection:
            return connection.send(*parts).answer()

    @property
    def log(self) -> str:
        return (self.installation.directory / "log").read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server on SQLite in a directory of its own, with small limits, and the cookie of its administrator."""
    installation = Installation(environment.HOME / "server", free_port(), [UI_ORIGIN])
    password = set_up(installation)
    with running(
        [sys.executable, str(ROOT / "manage.py"), "serve"],
        log=installation.directory / "log",
        ready_url=f"{installation.url}/healthz",
        env={**installation.environment(), **LIMITS},
    ):
        yield Server(installation, sign_in(installation.port, "admin", password))


def sign_in(port: int, username: str, password: str) -> str:
    """Sign in as a browser does and return the Cookie header of the session."""
    connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
    connection.request("GET", "/login/")
    page = connection.getresponse()
    token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.read())[1].decode()
    form = {"username": username, "password": password, "csrfmiddlewaretoken": token}
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    content_type = "application/x-www-form-urlencoded"
    connection.request("POST", "/login/", urlencode(form), {"Cookie": cookie, "Content-Type": content_type})
    answer = connection.getresponse()
    connection.close()
    found = re.search(rf"{settings.SESSION_COOKIE_NAME}=(\w+)", str(answer.headers))
    canary.watch_cookie(found[1])
    return found[0]


@pytest.fixture
def cookie(server: Server) -> dict[str, str]:
    return {"Cookie": server.cookie}


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_body_with_a_length_is_decoded(server, cookie):
    answer = server.ask(head("POST /decode", sized(), **cookie), BODY)
    assert (answer.status, answer.body) == (200, b"{}")


def test_chunked_body_is_decoded(server, cookie):
    pieces = chunk(BODY[:4]), chunk(BODY[4:]), chunk(b"")
    answer = server.ask(head("POST /decode", "Transfer-Encoding: chunked", **cookie), *pieces)
    assert (answer.status, answer.body) == (200, b"{}")


def test_body_in_many_packets_is_decoded(server, cookie):
    with server.connect() as connection:
        connection.send(head("POST /decode", sized(), **cookie))
        for position in range(len(BODY)):
            connection.send(BODY[position : position + 1])
        assert connection.answer().status == 200


def test_client_that_waits_for_100_continue_is_told_to_go_on(server, cookie):
    with server.connect() as connection:
        connection.send(head("POST /decode", sized(), "Expect: 100-continue", **cookie))
        assert connection.socket.recv(1024).startswith(b"HTTP/1.1 100 Continue")
        assert connection.send(BODY).answer().status == 200


def test_body_declared_too_large_is_413_unread(server, cookie):
    answer = server.ask(head("POST /decode", "Content-Length: 200001", **cookie))
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (413, UI_ORIGIN)


@pytest.mark.parametrize("length", [2**32, 2**63 - 1, 2**64 - 1])
def test_body_declared_enormous_is_413(server, cookie, length):
    assert server.ask(head("POST /decode", f"Content-Length: {length}", **cookie)).status == 413


def test_chunked_body_that_grows_too_large_is_413_before_its_end(server, cookie):
    answer = server.ask(head("POST /decode", "Transfer-Encoding: chunked", **cookie), chunk(b" " * 200_001))
    assert answer.status == 413


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head("GET /decode", "Content-Length: 200001"), 405),
        (head("POST /decode", "Content-Length: 200001", Content_Type="text/plain"), 415),
        (head("POST /decode", "Content-Length: 200001", Origin="https://evil.example"), 403),
        (head("POST /decode", "Content-Length: 200001"), 401),
        (head("POST /decode", "Content-Length: 200001", X_Namespace=None), 400),
        (head("POST /nowhere", "Content-Length: 200001"), 404),
        (head("POST /login/", "Content-Length: 200001"), 403),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_too_large_a_body_changes_no_earlier_answer(server, request_head, status):
    assert server.ask(request_head).status == status


def test_anonymous_body_is_cut_off_at_64_kib(server):
    answer = server.ask(head("POST /decode", "Transfer-Encoding: chunked"), chunk(b" " * (64 * 1024 + 1)))
    assert answer.status == 401


def test_signed_in_body_of_that_size_is_read(server, cookie):
    body = b" " * (64 * 1024 + 1) + BODY
    assert server.ask(head("POST /decode", sized(body), **cookie), body).status == 200


def test_slow_body_is_408_that_the_ui_can_read(server, cookie):
    answer = server.ask(head("POST /decode", sized(), **cookie), BODY[:5])
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (408, UI_ORIGIN)


def test_bodies_beyond_what_may_be_in_flight_are_503(server, cookie):
    part = head("POST /decode", "Content-Length: 190000", **cookie), b" " * 150_000
    with ExitStack() as stack:
        waiting = [stack.enter_context(server.connect()).send(*part) for _ in range(3)]
        (first,), _, _ = select.select([connection.socket for connection in waiting], [], [], PATIENCE)
        refused = Connection(first).answer()
        rest = [connection.answer().status for connection in waiting if connection.socket is not first]
    assert (refused.status, rest) == (503, [408, 408])
    assert refused.headers["Retry-After"]


def test_aborted_uploads_give_their_bytes_back(server, cookie):
    for _ in range(5):
        with server.connect() as connection:
            connection.send(head("POST /decode", "Content-Length: 190000", **cookie), b" " * 150_000)
    body = b" " * 150_000 + BODY
    deadline = time.monotonic() + PATIENCE
    while server.ask(head("POST /decode", sized(body), **cookie), body).status != 200:
        assert time.monotonic() < deadline


# Headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "X-Namespace: other",
        "x-namespace: default",
        "Authorization: Bearer a\r\nAuthorization: Bearer b",
        f"Origin: {UI_ORIGIN}",
        "Content-Type: application/json",
        "Host: localhost",
    ],
)
def test_repeated_header_is_refused(server, cookie, header):
    answer = server.ask(head("POST /decode", header, sized(), **cookie), BODY)
    assert (answer.status, b"bad_request_headers" in answer.body) == (400, True)


def test_namespace_with_an_underscore_is_no_namespace(server, cookie):
    answer = server.ask(head("POST /decode", "X_Namespace: default", sized(), X_Namespace=None, **cookie), BODY)
    assert (answer.status, b"namespace_missing" in answer.body) == (400, True)


def test_namespace_with_an_underscore_changes_nothing(server, cookie):
    assert server.ask(head("POST /decode", "X_Namespace: evil", sized(), **cookie), BODY).status == 200


def test_oversized_headers_are_400_that_the_ui_can_read(server):
    answer = server.ask(head("POST /decode", f"X-Large: {'a' * 32 * 1024}", sized()), BODY)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (400, UI_ORIGIN)


def test_many_headers_are_400(server):
    assert server.ask(head("POST /decode", *[f"X-{number}: a" for number in range(8000)], sized()), BODY).status == 400


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 15", "Transfer-Encoding: chunked"),
        ("Content-Length: 15", "Content-Length: 15"),
        ("Content-Length: 15", "Content-Length: 16"),
        ("Content-Length: +15",),
        ("Content-Length: -1",),
        ("Content-Length: 1_5",),
        ("Content-Length: 15, 15",),
        (f"Content-Length: {'9' * 5000}",),
        ("Content-Length : 15",),
        ("Content-Length: 15", "X-Folded: a\r\n b"),
        ("Content-Length: 15", "X-Bare: a\nX-Namespace: evil"),
        ("Content-Length: 15", "X-Null: a\0b"),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: xchunked",),
    ],
    ids=" / ".join,
)
def test_ambiguous_message_is_refused_and_the_connection_closed(server, cookie, lines):
    with server.connect() as connection:
        assert connection.send(head("POST /decode", *lines, **cookie), BODY).answer().status == 400
        assert connection.is_closed()


# Request lines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/decode?a=\xff", "/d\xe9code", "decode", "/de code", "/decode\0"], ids=repr)
def test_raw_bytes_and_blanks_in_the_request_line_are_refused(server, cookie, target):
    assert server.ask(head(f"POST {target}", sized(), **cookie), BODY).status == 400


@pytest.mark.parametrize("target", ["/%ff/decode", "/%00/decode", "/%e2%80%ae/decode", "/a%2fb/decode"])
def test_escaped_bytes_are_a_prefix_like_any_other(server, cookie, target):
    assert server.ask(head(f"POST {target}", sized(), **cookie), BODY).status == 200


def test_absolute_uri_counts_by_its_path_alone(server, cookie):
    assert server.ask(head("POST http://evil.example/decode", sized(), **cookie), BODY).status == 200


def test_absolute_uri_does_not_replace_the_host_header(server, cookie):
    request = head("POST http://localhost/decode", sized(), Host="evil.example", **cookie)
    assert server.ask(request, BODY).status == 400


@pytest.mark.parametrize(("method", "status"), [("TRACE", 405), ("GET", 405), ("PUT", 405), ("CONNECT", 405)])
def test_other_method_is_refused(server, cookie, method, status):
    assert server.ask(head(f"{method} /decode", **cookie)).status == status


def test_options_of_the_whole_server_is_no_endpoint(server):
    assert server.ask(head("OPTIONS *")).status == 404


def test_preflight_is_answered(server):
    asking = "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-namespace"
    answer = server.ask(head("OPTIONS /decode", *asking))
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, UI_ORIGIN)


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_offer_to_upgrade_is_ignored(server, protocol):
    request = head("GET /healthz", "Connection: Upgrade", f"Upgrade: {protocol}")
    assert server.ask(request).status == 200


@pytest.mark.parametrize("method", ["POST", "CONNECT"])
@pytest.mark.parametrize("framing", [sized(head("GET /healthz")), "Transfer-Encoding: chunked"])
def test_body_after_an_offer_to_upgrade_is_not_taken_for_a_request(server, cookie, method, framing):
    offer = "Connection: Upgrade", "Upgrade: h2c", framing
    with server.connect() as connection:
        connection.send(head(f"{method} /decode", *offer, **cookie))
        time.sleep(0.05)
        assert connection.send(head("GET /healthz")).answer().status == 400
        assert connection.is_closed()


# Connections ----------------------------------------------------------------------------------------------------------

REFUSED = {
    401: (head("POST /decode", sized()), BODY),
    403: (head("POST /decode", sized(), Origin="https://evil.example"), BODY),
    404: (head("POST /nowhere", sized()), BODY),
    405: (head("PUT /decode", sized()), BODY),
    415: (head("POST /decode", sized(), Content_Type="text/plain"), BODY),
    400: (head("POST /decode", sized(), X_Namespace=None), BODY),
}


@pytest.mark.parametrize(("status", "refused"), REFUSED.items(), ids=map(str, REFUSED))
def test_connection_serves_on_after_a_refusal(server, cookie, status, refused):
    with server.connect() as connection:
        assert connection.send(*refused).answer().status == status
        assert connection.send(head("POST /decode", sized(), **cookie), BODY).answer().status == 200


def test_connection_serves_on_after_a_body_that_was_too_large(server, cookie):
    with server.connect() as connection:
        large = head("POST /decode", "Content-Length: 200001", **cookie), b" " * 200_001
        assert connection.send(*large).answer().status == 413
        assert connection.send(head("POST /decode", sized(), **cookie), BODY).answer().status == 200


@pytest.mark.parametrize("line", ["X-Namespace: other", "Host: other", f"X-Large: {'a' * 32 * 1024}"])
def test_connection_ends_with_headers_that_are_refused(server, cookie, line):
    with server.connect() as connection:
        assert connection.send(head("POST /decode", sized(), line, **cookie), BODY).answer().status == 400
        assert connection.is_closed()


def test_pipelined_requests_are_answered_in_order(server, cookie):
    with server.connect() as connection:
        connection.send(head("POST /decode", sized(), **cookie), BODY, head("GET /nowhere"))
        stream = connection.socket.makefile("rb")
        text = stream.readline() + next(line for line in stream if line.startswith(b"{}HTTP/1.1"))
        stream.close()
    assert (text[:12], text[-15:]) == (b"HTTP/1.1 200", b"404 Not Found\r\n")


def test_http_1_0_is_answered_and_closed(server, cookie):
    with server.connect() as connection:
        answer = connection.send(head("POST /decode", sized(), version="1.0", **cookie), BODY).answer()
        assert (answer.status, answer.body) == (200, b"{}")
        assert connection.is_closed()


def test_http_1_0_client_gets_a_refusal_without_chunks(server):
    answer = server.ask(head("POST /decode", sized(), "Host: b", version="1.0"), BODY)
    assert (answer.status, answer.headers["Transfer-Encoding"]) == (400, None)
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_slow_connections_do_not_block_a_good_one(server, cookie):
    slow_body, slow_head = head("POST /decode", sized(), **cookie), b"POST /decode HTTP/1.1\r\nHost: loc"
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()).send(begun) for begun in (slow_body, slow_head) * 20]
        assert server.ask(head("POST /decode", sized(), **cookie), BODY).status == 200
        given_up, _, _ = select.select([connection.socket for connection in slow], [], [], 0)
    assert not given_up


# What the process says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_bytes", [head("GET /healthz"), *(b"".join(parts) for parts in REFUSED.values())])
def test_answer_names_no_software_and_is_not_sniffed(server, request_bytes):
    headers = server.ask(request_bytes).headers
    assert (headers["Server"], headers["X-Content-Type-Options"]) == (None, "nosniff")


def test_start_tells_where_to_sign_in_and_what_to_enter(server):
    assert f"Sign in         {server.installation.url}/login/" in server.log
    assert f"Codec Server browser endpoint        {server.installation.url}\n" in server.log


def test_queries_are_not_logged(server):
    server.ask(head("GET /healthz?query-of-the-test"))
    assert "query-of-the-test" not in server.log


@pytest.fixture(scope="module", autouse=True)
def log_holds_no_accident(server: Server) -> Iterator[None]:
    """After all tests: nothing broke inside, whatever was sent, and no secret was logged."""
    yield
    assert "Traceback" not in server.log
    assert '"exception"' not in server.log
    canary.check("the server's log", server.log)
