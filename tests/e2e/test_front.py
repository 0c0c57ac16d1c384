"""The front layer gives the answer that Django gives, and forgets with the very next request.

A header that no server looks at, different each time, makes a request unlike any before it: Django answers that one.
"""

import http.client
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.codec_server import Installation, serving, set_up
from demo.processes import free_port
from tests.e2e.shared_database import ORIGIN, PLAIN, CodecClient, cookie_of_alice

UNLIKE = {"x-request-id", "date"}


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
    port: int
    usual: dict[str, str]

    def ask(self, body: bytes, *, target: str = "/decode", by_django: bool = False, **changed: str | None) -> Answer:
        """POST with the usual headers, `changed` ones replaced or, where None, left out."""
        headers = self.usual | {name.replace("_", "-").title(): value for name, value in changed.items()}
        if by_django:
            headers["X-Unlike"] = os.urandom(8).hex()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                "POST", target, body, {name: value for name, value in headers.items() if value is not None}
            )
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("front"), free_port(), [ORIGIN])
    set_up(installation)
    with serving(installation):
        yield installation


@pytest.fixture(scope="module")
def cookie(server: Installation) -> str:
    return cookie_of_alice(server)


@pytest.fixture(scope="module")
def asker(server: Installation, cookie: str) -> Asker:
    usual = {"Content-Type": "application/json", "X-Namespace": "default", "Origin": ORIGIN, "Cookie": cookie}
    return Asker(server.port, usual)


@pytest.fixture(scope="module")
def encoded(server: Installation, cookie: str) -> bytes:
    return json.dumps({"payloads": [CodecClient(server.url, cookie).encode()]}).encode()


@pytest.fixture
def warm(asker: Asker, encoded: bytes) -> Asker:
    """The front layer knows the usual request now."""
    for _ in range(2):
        assert asker.ask(encoded).status == 200
    return asker


def records(server: Installation, outcome: str) -> int:
    with closing(sqlite3.connect(server.directory / "db.sqlite3", timeout=20)) as connection:
        query = "SELECT COUNT(*) FROM keys_auditrecord WHERE action = 'payload:decoded' AND outcome = ?"
        return int(connection.execute(query, [outcome]).fetchone()[0])


def test_repeated_decode_is_recorded_like_the_first(server, warm, encoded):
    before = records(server, "allowed")
    numbers = {warm.ask(encoded).headers["x-request-id"] for _ in range(5)}
    assert len(numbers) == 5
    assert records(server, "allowed") == before + 5


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


def revoke(server: Installation) -> None:
    server.manage("revoke", "alice", "default", "--reason", "test")


def expire_grant(server: Installation) -> None:
    server.manage(
        "shell",
        "--verbosity=0",
        stdin=(
            "from django.utils import timezone\nfrom codec.models import Grant\n"
            "Grant.objects.filter(ends_at=None).update(ends_at=timezone.now())"
        ),
    )


def disable_user(server: Installation) -> None:
    script = "from codec.models import User; User.objects.filter(username='alice').update(is_active=False)"
    server.manage("shell", "--verbosity=0", stdin=script)


def end_session(server: Installation) -> None:
    script = "from codec.models import UserSession; UserSession.objects.all().delete()"
    server.manage("shell", "--verbosity=0", stdin=script)


@pytest.fixture
def put_right(server: Installation) -> Iterator[None]:
    yield
    script = "from codec.models import User; User.objects.filter(username='alice').update(is_active=True)"
    server.manage("shell", "--verbosity=0", stdin=script)
    server.manage("grant", "alice", "default", "--decode", "--encode", "--reason", "test")


@pytest.mark.parametrize(("change", "status"), [(revoke, 403), (expire_grant, 403), (disable_user, 401)])
def test_what_was_remembered_is_gone_with_the_next_request(server, warm, encoded, put_right, change, status):
    before = records(server, "allowed")
    change(server)
    assert warm.ask(encoded).status == status
    assert records(server, "allowed") == before


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
    answers = [asker.ask(body, target=target, **changed).comparable() for _ in range(3)]
    assert answers == [asker.ask(body, target=target, by_django=True, **changed).comparable()] * 3


def test_session_that_ended_is_refused_with_the_next_request(server, warm, encoded):
    end_session(server)
    assert warm.ask(encoded).status == 401
