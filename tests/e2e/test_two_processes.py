"""Two server processes on one PostgreSQL: what one does, the other knows at its next request."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest

from codec.callers.bearer import LEEWAY_SECONDS
from demo.codec_server import Installation
from tests import jwt_tools
from tests.e2e.people import sign_in
from tests.e2e.shared_database import PLAIN, CodecClient, OnPostgreSQL, cookie_of_alice, make_person, two_on_postgresql

ROTATIONS = 5


def key_id(payload: dict) -> str:
    return base64.b64decode(payload["metadata"]["encryption-key-id"]).decode()


@pytest.fixture(scope="module")
def issuer() -> Iterator[jwt_tools.JwksServer]:
    server = jwt_tools.JwksServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, issuer: jwt_tools.JwksServer) -> Iterator[list[OnPostgreSQL]]:
    """Two that also take the access tokens of an issuer."""
    trust = {"URL": jwt_tools.URL, "JWKS_URL": issuer.url, "AUDIENCES": jwt_tools.AUDIENCE}
    more = {f"CODEC_ISSUER_ONE_{name}": value for name, value in trust.items()}
    with two_on_postgresql(tmp_path_factory.mktemp("shared"), CODEC_TOKEN_ISSUERS="one", **more) as both:
        yield list(both)


@pytest.fixture(scope="module")
def database_url(servers: list[OnPostgreSQL]) -> str:
    return servers[0].database_url


@pytest.fixture(scope="module")
def clients(servers: list[Installation]) -> list[CodecClient]:
    """alice at each of the servers, with the session that she began at the first."""
    cookie = cookie_of_alice(servers[0])
    return [CodecClient(server.url, cookie) for server in servers]


def rotate(server: Installation) -> str:
    made = json.loads(server.manage("rotate_key", "default", "--reason", "test", "--json"))
    return str(made[0]["key_id"])


def work_until(stop: threading.Event, mine: CodecClient, other: CodecClient) -> int:
    """Encode at one server and decode at the other, over and over; return how often, all of it right."""
    rounds = 0
    while not stop.is_set():
        assert other.decodes(mine.encode())
        rounds += 1
    return rounds


def test_rotation_under_load_fails_no_request_and_is_seen_by_the_next(servers, clients):
    stop, before = threading.Event(), clients[0].encode()
    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(work_until, stop, clients[n % 2], clients[(n + 1) % 2]) for n in range(8)]
        try:
            for _ in range(ROTATIONS):
                new = rotate(servers[0])
                assert [key_id(client.encode()) for client in clients] == [new, new]
        finally:
            stop.set()
        rounds = [done.result() for done in work]
    assert min(rounds) > 0
    assert all(client.decodes(before) for client in clients)


def by_command(servers: list[Installation], database_url: str, old: str) -> None:
    servers[0].manage("disable_key", "default", old, "--reason", "test")


def by_queryset_update(servers: list[Installation], database_url: str, old: str) -> None:
    script = f"from keys.models import KeyVersion; KeyVersion.objects.filter(key_id={old!r}).update(state='DISABLED')"
    servers[0].manage("shell", "--verbosity=0", stdin=script)


def by_plain_sql(servers: list[Installation], database_url: str, old: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE keys_keyversion SET state = 'DISABLED' WHERE key_id = %s", [old])


@pytest.mark.parametrize("disable", [by_command, by_queryset_update, by_plain_sql])
def test_key_disabled_elsewhere_decodes_nothing_at_the_next_request(servers, clients, database_url, disable):
    payload = clients[0].encode()
    rotate(servers[0])
    assert all(client.decodes(payload) for client in clients)
    disable(servers, database_url, key_id(payload))
    assert [client.call("decode", payload)[0] for client in clients] == [400, 400]


def test_grant_revoked_elsewhere_is_refused_at_the_next_request(servers, clients):
    payload = clients[0].encode()
    servers[0].manage("revoke", "alice", "default", "--reason", "test")
    assert [client.call("decode", payload)[0] for client in clients] == [403, 403]
    servers[0].manage("grant", "alice", "default", "--decode", "--encode", "--reason", "test")
    assert all(client.decodes(payload) for client in clients)


# Credentials that end -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody of their own for one test, who calls both servers with one credential."""

    name: str
    clients: list[CodecClient]
    token_id: str = ""


@pytest.fixture
def with_session(servers: list[Installation]) -> Caller:
    name = unused_name()
    cookie = sign_in(servers[0].url, make_person(servers[0], name))
    return Caller(name, [CodecClient(server.url, cookie) for server in servers])


@pytest.fixture
def with_token(servers: list[Installation]) -> Caller:
    name = unused_name()
    make_person(servers[0], name)
    made = json.loads(servers[0].manage("create_token", name, "--name=x", "--decode", "--encode", "--json"))
    return Caller(name, [CodecClient(server.url, token=made["token"]) for server in servers], made["id"])


@pytest.fixture
def with_jwt(servers: list[Installation]) -> Caller:
    name = unused_name()
    make_person(servers[0], name)
    servers[0].manage("invite", name, "--subject", name, "--issuer", jwt_tools.URL)
    token = jwt_tools.make_token(sub=name)
    return Caller(name, [CodecClient(server.url, token=token) for server in servers])


def unused_name() -> str:
    return f"carol-{uuid.uuid4().hex[:8]}"


def revoke_by_command(caller: Caller, servers: list[Installation], database_url: str) -> None:
    servers[0].manage("revoke_token", caller.token_id, "--reason", "test")


def sql(statement: str) -> Callable[[Caller, list[Installation], str], None]:
    """Return what ends a credential by plain SQL; %(name)s is its owner and %(token)s begins the token's digest."""

    def run(caller: Caller, servers: list[Installation], database_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            done = connection.execute(statement, {"name": caller.name, "token": caller.token_id + "%"})
            assert done.rowcount == 1

    return run


OWNER = "(SELECT id FROM codec_user WHERE username = %(name)s)"
TOKENS = "UPDATE codec_apitoken SET {} WHERE digest LIKE %(token)s"
SESSIONS = f"UPDATE codec_usersession SET {{}} WHERE user_id = {OWNER}"
DISABLE = sql("UPDATE codec_user SET is_active = false WHERE username = %(name)s")
ENDINGS_OF_SESSIONS = {
    "ended": sql(f"DELETE FROM codec_usersession WHERE user_id = {OWNER}"),
    "expired": sql(SESSIONS.format("expire_date = now()")),
    "user disabled": DISABLE,
    "password changed": sql("UPDATE codec_user SET password = '!' WHERE username = %(name)s"),
}
ENDINGS_OF_TOKENS = {
    "revoked by command": revoke_by_command,
    "revoked by SQL": sql(TOKENS.format("revoked_at = now()")),
    "expired": sql(TOKENS.format("expires_at = now()")),
    "deleted": sql("DELETE FROM codec_apitoken WHERE digest LIKE %(token)s"),
    "user disabled": DISABLE,
}
# Nobody here can revoke the token of another issuer; what can be taken from it is the person that it names.
ENDINGS_OF_JWTS = {
    "identity deleted": sql(f"DELETE FROM codec_identity WHERE user_id = {OWNER}"),
    "user disabled": DISABLE,
}


@pytest.mark.parametrize("end", ENDINGS_OF_SESSIONS.values(), ids=ENDINGS_OF_SESSIONS)
def test_ended_session_is_refused_everywhere_at_the_next_request(servers, database_url, with_session, end):
    refused_from_then_on(with_session, lambda: end(with_session, servers, database_url), 401)


@pytest.mark.parametrize("end", ENDINGS_OF_TOKENS.values(), ids=ENDINGS_OF_TOKENS)
def test_ended_token_is_refused_everywhere_at_the_next_request(servers, database_url, with_token, end):
    refused_from_then_on(with_token, lambda: end(with_token, servers, database_url), 401)


@pytest.mark.parametrize("end", ENDINGS_OF_JWTS.values(), ids=ENDINGS_OF_JWTS)
def test_ended_jwt_is_refused_everywhere_at_the_next_request(servers, database_url, with_jwt, end):
    refused_from_then_on(with_jwt, lambda: end(with_jwt, servers, database_url), 401)


def test_jwt_that_expires_is_refused_everywhere_at_the_next_request(servers, with_jwt):
    """A decision that was remembered for it ends with it: the token has the leeway of a minute, less five seconds."""
    now = int(time.time())
    token = jwt_tools.make_token(sub=with_jwt.name, iat=now - 600, exp=now - LEEWAY_SECONDS + 5)
    clients = [CodecClient(client.url, token=token) for client in with_jwt.clients]
    payload = with_jwt.clients[0].encode()
    assert all(client.decodes(payload) for client in [*clients, *clients])
    wait_until(now + 6)
    assert [client.call("decode", payload)[0] for client in clients] == [401, 401]


def wait_until(moment: float) -> None:
    while (left := moment - time.time()) > 0:
        time.sleep(left)


def test_jwt_of_somebody_who_loses_their_grant_is_refused_everywhere_at_the_next_request(servers, with_jwt):
    revoke = ("revoke", with_jwt.name, "default", "--reason", "test")
    refused_from_then_on(with_jwt, lambda: servers[0].manage(*revoke), 403)


def test_token_that_loses_its_reach_is_refused_everywhere_at_the_next_request(servers, database_url, with_token):
    narrow = sql(TOKENS.format("every_namespace = false"))
    refused_from_then_on(with_token, lambda: narrow(with_token, servers, database_url), 403)


def test_token_of_somebody_who_loses_their_grant_is_refused_everywhere_at_the_next_request(servers, with_token):
    revoke = ("revoke", with_token.name, "default", "--reason", "test")
    refused_from_then_on(with_token, lambda: servers[0].manage(*revoke), 403)


def test_idle_session_is_refused_everywhere(servers, database_url, with_session):
    """Time that passes moves no epoch: a decision is remembered for half a minute, and use counts as use so long."""
    payload = with_session.clients[0].encode()
    assert all(client.decodes(payload) for client in with_session.clients)
    sql(SESSIONS.format("last_seen_at = now() - interval '3 hours'"))(with_session, servers, database_url)
    fresh = [CodecClient(client.url, f"{client.cookie}; other=1") for client in with_session.clients]
    assert [client.call("decode", payload)[0] for client in fresh] == [401, 401]


def test_tokens_of_others_go_on(servers, with_token, with_session):
    payload = with_session.clients[0].encode()
    revoke_by_command(with_token, servers, "")
    assert all(client.decodes(payload) for client in with_session.clients)


def refused_from_then_on(caller: Caller, end: Callable[[], object], status: int) -> None:
    """Both servers decode, twice each, so that they remember what they may; and refuse once `end` has run."""
    payload = caller.clients[0].encode()
    assert all(client.decodes(payload) for client in [*caller.clients, *caller.clients])
    end()
    assert [client.call("decode", payload)[0] for client in caller.clients] == [status, status]
    assert [client.call("encode", PLAIN)[0] for client in caller.clients] == [status, status]
