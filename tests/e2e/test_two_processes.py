"""Two server processes on one PostgreSQL: what one does, the other knows at its next request."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from demo.codec_server import Installation, serving, set_up
from demo.processes import free_port
from tests import postgresql
from tests.e2e.shared_database import ORIGIN, CodecClient, OnPostgreSQL, cookie_of_alice

ROTATIONS = 5


def key_id(payload: dict) -> str:
    return base64.b64decode(payload["metadata"]["encryption-key-id"]).decode()


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = postgresql.start(tmp_path_factory.mktemp("postgresql") / "data")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[list[Installation]]:
    """Two processes with one database, one KEK and one secret key."""
    directory = tmp_path_factory.mktemp("shared")
    first, second = (OnPostgreSQL(directory, free_port(), [ORIGIN], database_url=database_url) for _ in range(2))
    set_up(first)
    with serving(first), serving(second):
        yield [first, second]


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
