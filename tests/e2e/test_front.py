"""The front layer gives the answer that Django gives, and forgets with the very next request.

Everything is asked of one of two processes on PostgreSQL; what changes is changed by the other, or by a command. A
header that no server looks at, different each time, makes a request unlike any before it: Django answers that one.
"""

import base64
import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.at_once import AtOnce
from tests.e2e.people import Person, sign_in, sign_out
from tests.e2e.shared_database import ORIGIN, PLAIN, CodecClient, OnPostgreSQL, make_person, two_on_postgresql

UNLIKE = {"x-request-id", "date"}
USUAL = {"Content-Type": "application/json", "X-Namespace": "default", "Origin": ORIGIN}


class By(Enum):
    """Who is to answer: the protocol, which takes what a connection brings again; the middleware; or Django."""

    PROTOCOL = "a connection that has brought such a head before"
    MIDDLEWARE = "a new connection, head and body one after the other"
    DJANGO = "a new connection and a header that is different each time"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def comparable(self) -> tuple[int, dict[str, str], object]:
        """Return what two answers to the same request must share: all but the number of the request."""
        body = json.loads(self.body) if self.body else None
        if isinstance(body, dict):
            body.pop("request_id", None)
        return self.status, {name: value for name, value in self.headers.items() if name not in UNLIKE}, body


@dataclass(frozen=True, slots=True)
class Asker:
    """`known` is a connection that stays open."""

    port: int
    usual: dict[str, str]
    known: AtOnce

    def ask(self, body: bytes, *, target: str = "/decode", by: By = By.PROTOCOL, **changed: str | None) -> Answer:
        """POST with the usual headers, `changed` ones replaced or, where None, left out."""
        headers = self.usual | {name.replace("_", "-").title(): value for name, value in changed.items()}
        if by is By.DJANGO:
            headers["X-Unlike"] = os.urandom(8).hex()
        sent = {name: value for name, value in headers.items() if value is not None}
        if by is By.PROTOCOL:
            return _ask(self.known, target, body, sent)
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            return _ask(connection, target, body, sent)


def _ask(connection: http.client.HTTPConnection, target: str, body: bytes, headers: dict[str, str]) -> Answer:
    connection.request("POST", target, body, headers)
    answer = connection.getresponse()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OnPostgreSQL, OnPostgreSQL]]:
    with two_on_postgresql(tmp_path_factory.mktemp("front")) as both:
        yield both


@pytest.fixture(scope="module")
def server(servers: tuple[OnPostgreSQL, OnPostgreSQL]) -> OnPostgreSQL:
    """The one where things are changed."""
    return servers[0]


@pytest.fixture(scope="module")
def alice(server: OnPostgreSQL) -> Person:
    return make_person(server, "alice")


@pytest.fixture(scope="module")
def cookie(server: OnPostgreSQL, alice: Person) -> str:
    return sign_in(server.url, alice)


@pytest.fixture
def asker(servers: tuple[OnPostgreSQL, OnPostgreSQL], cookie: str) -> Iterator[Asker]:
    with asking(servers[1].port, cookie) as asker:
        yield asker


@contextmanager
def asking(port: int, cookie: str) -> Iterator[Asker]:
    with closing(AtOnce("127.0.0.1", port, timeout=20)) as known:
        yield Asker(port, {**USUAL, "Cookie": cookie}, known)


@pytest.fixture(scope="module")
def encoded(server: OnPostgreSQL, cookie: str) -> bytes:
    return json.dumps({"payloads": [CodecClient(server.url, cookie).encode()]}).encode()


@pytest.fixture
def warm(asker: Asker, encoded: bytes) -> Asker:
    """The front layer knows the usual request now, and so does the connection that stays open."""
    for _ in range(3):
        assert asker.ask(encoded).status == 200
    return asker


def records(server: OnPostgreSQL, outcome: str) -> int:
    with psycopg.connect(server.database_url) as connection:
        query = "SELECT COUNT(*) FROM keys_auditrecord WHERE action = 'payload:decoded' AND outcome = %s"
        return int(connection.execute(query, [outcome]).fetchone()[0])


def test_repeated_decode_is_recorded_like_the_first(server, warm, encoded):
    before = records(server, "allowed")
    numbers = [warm.ask(encoded, by=by).headers["x-request-id"] for by in (By.PROTOCOL, By.MIDDLEWARE) * 3]
    processes = {number.partition("-")[0] for number in numbers}
    assert len(set(numbers)) == 6
    assert len(processes) == 1  # the numbers are the front layer's: Django's have no process in them
    assert records(server, "allowed") == before + 6


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": None}, 403),
        ({"x_namespace": "other"}, 403),
        ({"x_namespace": None}, 400),
        ({"cookie": None}, 401),
        ({"cookie": "__Host-codecsid=" + "a" * 32}, 401),
        ({"content_type": "text/plain"}, 415),
        ({"authorization": "Bearer x"}, 401),
        ({"sec_fetch_mode": "navigate"}, 403),
        ({"target": "/decode/"}, 404),
        ({"target": "/nowhere"}, 404),
    ],
)
def test_changed_request_is_decided_by_itself(warm, encoded, changed, status):
    assert warm.ask(encoded, **changed).status == status


def test_changed_query_changes_the_answer(warm, encoded):
    assert b"json/plain" in warm.ask(encoded, target="/decode?readable=true").body


def test_foreign_origin_gets_no_cors_header_of_the_one_before(warm, encoded):
    assert "access-control-allow-origin" not in warm.ask(encoded, origin="http://evil.example").headers


def revoke(server: OnPostgreSQL) -> None:
    server.manage("revoke", "alice", "default", "--reason", "test")


def expire_grant(server: OnPostgreSQL) -> None:
    execute(server, "UPDATE codec_grant SET ends_at = now() WHERE revoked_at IS NULL")


def disable_user(server: OnPostgreSQL) -> None:
    execute(server, "UPDATE codec_user SET is_active = false WHERE username = 'alice'")


def retire_namespace(server: OnPostgreSQL) -> None:
    execute(server, "UPDATE keys_namespace SET retired_at = now() WHERE name = 'default'")


def execute(server: OnPostgreSQL, statement: str) -> None:
    with psycopg.connect(server.database_url) as connection:
        connection.execute(statement)


@pytest.fixture
def put_right(server: OnPostgreSQL) -> Iterator[None]:
    yield
    execute(server, "UPDATE codec_user SET is_active = true")
    execute(server, "UPDATE keys_namespace SET retired_at = NULL")
    server.manage("grant", "alice", "default", "--decode", "--encode", "--reason", "test")


@pytest.mark.parametrize("by", [By.PROTOCOL, By.MIDDLEWARE])
@pytest.mark.parametrize(
    ("change", "status"), [(revoke, 403), (expire_grant, 403), (disable_user, 401), (retire_namespace, 403)]
)
def test_what_was_remembered_is_gone_with_the_next_request(server, warm, encoded, put_right, change, status, by):
    before = records(server, "allowed")
    change(server)
    assert warm.ask(encoded, by=by).status == status
    assert records(server, "allowed") == before


def test_rotation_is_seen_by_the_next_request(server, warm):
    plain = json.dumps({"payloads": [PLAIN]}).encode()
    before = [warm.ask(plain, target="/encode").body for _ in range(2)]
    server.manage("rotate_key", "default", "--reason", "test")
    assert key_id(warm.ask(plain, target="/encode").body) not in map(key_id, before)


def test_disabled_key_decodes_nothing_with_the_next_request(server, warm):
    encoded = warm.ask(json.dumps({"payloads": [PLAIN]}).encode(), target="/encode").body
    assert [warm.ask(encoded).status for _ in range(2)] == [200, 200]
    old = base64.b64decode(key_id(encoded)).decode()
    server.manage("rotate_key", "default", "--reason", "test")
    server.manage("disable_key", "default", old, "--reason", "test")
    assert warm.ask(encoded).status == 400


def key_id(body: bytes) -> str:
    return json.loads(body)["payloads"][0]["metadata"]["encryption-key-id"]


# What comes in pieces, in heaps, or breaks off


@dataclass(frozen=True, slots=True)
class Line:
    """A connection to which bytes are sent as they are."""

    socket: socket.socket

    def ask(self, *pieces: bytes, answers: int = 1) -> list[http.client.HTTPResponse]:
        for piece in pieces:
            self.socket.sendall(piece)
        return [self._answer() for _ in range(answers)]

    def _answer(self) -> http.client.HTTPResponse:
        answer = http.client.HTTPResponse(self.socket, method="POST")
        answer.fp = self.socket.makefile("rb", buffering=0)  # reads no further than this answer
        answer.begin()
        answer.content = answer.read()
        return answer


@pytest.fixture
def line(warm: Asker) -> Iterator[Line]:
    with socket.create_connection(("127.0.0.1", warm.port), timeout=20) as connection:
        yield Line(connection)


def request_bytes(asker: Asker, body: bytes, **more: str) -> bytes:
    headers = {"Host": f"127.0.0.1:{asker.port}", "Accept-Encoding": "identity"}
    headers |= {"Content-Length": str(len(body))} | asker.usual | {name.title(): text for name, text in more.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /decode HTTP/1.1\r\n{head}\r\n".encode() + body


def test_requests_sent_in_a_heap_are_answered_in_their_order(warm, line, encoded):
    plain = json.dumps({"payloads": [PLAIN, PLAIN]}).encode()
    known, other = request_bytes(warm, encoded), request_bytes(warm, plain)
    line.ask(known)
    answers = line.ask(known + other + known + known + other, answers=5)
    assert [len(json.loads(answer.content)["payloads"]) for answer in answers] == [1, 2, 1, 1, 2]


def test_requests_one_close_after_the_other_are_answered_in_their_order(warm, line, encoded):
    plain = json.dumps({"payloads": [PLAIN, PLAIN]}).encode()
    known, other = request_bytes(warm, encoded), request_bytes(warm, plain)
    line.ask(known)
    answers = line.ask(known, known, other, known, other[:50], other[50:], known, answers=6)
    assert [len(json.loads(answer.content)["payloads"]) for answer in answers] == [1, 1, 2, 1, 2, 1]


def test_request_in_pieces_gets_the_same_answer(warm, line, encoded):
    whole = request_bytes(warm, encoded)
    first = line.ask(whole)[0].content
    head = whole.index(b"\r\n\r\n") + 4
    for cut in (10, head, head + 5, len(whole) - 1):
        assert line.ask(whole[:cut], whole[cut:])[0].content == first


@pytest.mark.parametrize("more", [{"connection": "close"}, {"expect": "100-continue"}, {"traceparent": "0" * 300}])
def test_request_with_a_header_that_changes_the_transport_is_answered(warm, line, encoded, more):
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", warm.port), timeout=20) as connection:
            answer = Line(connection).ask(request_bytes(warm, encoded, **more))[0]
        assert answer.status == 200
        assert json.loads(answer.content) == {"payloads": [PLAIN]}


def test_trace_ids_make_no_request_unlike(warm, line, encoded):
    numbers = [
        line.ask(request_bytes(warm, encoded, traceparent=os.urandom(8).hex()))[0].headers["X-Request-ID"]
        for _ in range(3)
    ]
    assert numbers[1].partition("-")[0] == numbers[2].partition("-")[0]


def test_client_that_leaves_before_its_answer_harms_nobody(server, warm, encoded):
    before = records(server, "allowed")
    whole = request_bytes(warm, encoded)
    with socket.create_connection(("127.0.0.1", warm.port), timeout=20) as connection:
        Line(connection).ask(whole)
        Line(connection).ask(whole)
        connection.sendall(whole)
    assert warm.ask(encoded).status == 200
    assert records(server, "allowed") >= before + 3


def test_heap_of_requests_is_refused_from_the_revocation_on(server, warm, encoded, put_right):
    heap = request_bytes(warm, encoded) * 3
    statuses = []
    for change in (lambda server: None, revoke):
        change(server)
        with socket.create_connection(("127.0.0.1", warm.port), timeout=20) as connection:
            statuses.append([answer.status for answer in Line(connection).ask(heap, answers=3)])
    assert statuses == [[200] * 3, [403] * 3]


SOME_BODIES = st.one_of(
    st.just(json.dumps({"payloads": []}).encode()),
    st.just(json.dumps({"payloads": [PLAIN]}).encode()),
    st.just(json.dumps({"payloads": [PLAIN | {"extra": 1}, {}]}).encode()),
    st.just(
        json.dumps({"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}, "data": "AAAA"}]}).encode()
    ),
    st.just(json.dumps({"payloads": [{"metadata": {"encoding": "YmluYXJ5L3psaWI="}, "data": "eJwD"}]}).encode()),
    st.binary(max_size=20),
)
SOME_CHANGES = st.sampled_from(
    [
        {},
        {},
        {},
        {"user_agent": "x"},
        {"accept": "text/html"},
        {"origin": "null"},
        {"x_namespace": "other"},
        {"cookie": None},
    ]
)
SOME_TARGETS = st.sampled_from(
    ["/decode", "//decode", "/a/decode", "/decode?readable=true", "/decode?preserveStorageRefs=true"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(body=SOME_BODIES, changed=SOME_CHANGES, target=SOME_TARGETS, own_ciphertext=st.booleans())
def test_front_layer_answers_as_django_does(asker, encoded, body, changed, target, own_ciphertext):
    body = encoded if own_ciphertext else body
    ways = (By.PROTOCOL, By.PROTOCOL, By.MIDDLEWARE, By.MIDDLEWARE)
    answers = [asker.ask(body, target=target, by=by, **changed).comparable() for by in ways]
    assert answers == [asker.ask(body, target=target, by=By.DJANGO, **changed).comparable()] * len(ways)


# Last, because it ends alice's session


def test_session_that_was_ended_is_refused_with_the_next_request(server, warm, encoded):
    execute(server, "DELETE FROM codec_usersession")
    assert [warm.ask(encoded, by=by).status for by in (By.PROTOCOL, By.MIDDLEWARE)] == [401, 401]


def test_person_who_signs_out_is_refused_with_the_next_request(servers, alice, encoded):
    cookie = sign_in(servers[0].url, alice)
    with asking(servers[1].port, cookie) as asker:
        assert [asker.ask(encoded).status for _ in range(3)] == [200, 200, 200]
        sign_out(servers[0].url, cookie)
        assert asker.ask(encoded).status == 401
