"""No plaintext without a record, whatever happens to a process or to the database under load.

TEST_SOAK=1 (`make soak`) makes the load long: 20,000 answered decodes and more.
"""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import psycopg
import pytest

from demo.codec_server import ROOT, Installation, set_up
from demo.processes import free_port, running
from tests import postgresql
from tests.e2e.shared_database import ORIGIN, CodecClient, KeptConnection, OnPostgreSQL, cookie_of_alice

ANSWERS = 20_000 if os.environ.get("TEST_SOAK") else 1_000
IN_TIME = 7.0  # seconds; CODEC_AUDIT_SECONDS is 4, and the machine is busy
CLIENTS = 8


@dataclass(slots=True)
class Told:
    """What the clients were told: the request ids of plaintext answers, and the time that each 503 took."""

    decoded: list[str] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    broken: int = 0


@contextmanager
def process(server: Installation) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    log = server.directory / f"codec_server-{server.port}.log"
    with running(command, log=log, ready_url=f"{server.url}/healthz", env=server.environment()) as started:
        yield started


def decode_until(stop: Callable[[], bool], client: CodecClient, payload: dict, told: Told) -> None:
    """Decode the payload over and over, and note what came of it."""
    with closing(KeptConnection(client)) as connection:
        while not stop():
            began = time.monotonic()
            try:
                status, request_id = connection.decode(payload)
            except (OSError, HTTPException):
                told.broken += 1
                time.sleep(0.05)  # nobody listens while the process is away
                continue
            if status == 200:
                told.decoded.append(request_id)
            else:
                assert status == 503
                told.refused.append(time.monotonic() - began)


@contextmanager
def load(clients: list[CodecClient], payload: dict) -> Iterator[Told]:
    """Keep eight clients decoding while the block runs."""
    told, over = Told(), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        work = [
            pool.submit(decode_until, over.is_set, clients[n % len(clients)], payload, told) for n in range(CLIENTS)
        ]
        try:
            yield told
        finally:
            over.set()
        for done in work:
            done.result()


def wait_for(condition: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def recorded_ids(server: Installation) -> set[str]:
    query = "SELECT request_id FROM keys_auditrecord WHERE action = 'payload:decoded' AND outcome = 'allowed'"
    if isinstance(server, OnPostgreSQL):
        with psycopg.connect(server.database_url) as connection:
            return {row[0] for row in connection.execute(query)}
    with closing(sqlite3.connect(server.directory / "db.sqlite3", timeout=20)) as connection:
        return {row[0] for row in connection.execute(query)}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory):
    server = postgresql.start(tmp_path_factory.mktemp("postgresql") / "data")
    yield server
    server.cleanup()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(request, tmp_path_factory: pytest.TempPathFactory) -> list[Installation]:
    """Two servers, not started, on one database."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        servers: list[Installation] = [Installation(directory, free_port(), [ORIGIN]) for _ in range(2)]
    else:
        url = request.getfixturevalue("database").get_uri()
        servers = [OnPostgreSQL(directory, free_port(), [ORIGIN], database_url=url) for _ in range(2)]
    set_up(servers[0])
    return servers


@pytest.fixture(scope="module")
def cookie(pair: list[Installation]) -> str:
    with process(pair[0]):
        return cookie_of_alice(pair[0])


def test_killed_process_loses_no_record(pair, cookie):
    clients = [CodecClient(server.url, cookie) for server in pair]
    with process(pair[0]) as victim, process(pair[1]):
        payload = clients[0].encode()
        with load(clients, payload) as told:
            wait_for(lambda: len(told.decoded) > ANSWERS / 2, seconds=600)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            with process(pair[0]):
                wait_for(lambda: len(told.decoded) > ANSWERS, seconds=600)
    assert told.broken > 0
    assert set(told.decoded) <= recorded_ids(pair[0])
    assert "OK" in pair[0].manage("verify_audit")


# The faults, under load.


def check(server: Installation, client: CodecClient, hurt: Callable[[], object], heal: Callable[[], object]) -> None:
    """Under load: hurt the database, see only refusals in time, heal it, see it recover by itself."""
    payload = client.encode()
    with load([client], payload) as told:
        wait_for(lambda: len(told.decoded) > 50)
        hurt()
        wait_for(lambda: len(told.refused) + told.broken > CLIENTS)
        heal()
        healed = len(told.decoded)
        wait_for(lambda: len(told.decoded) > healed + 50)
    assert told.refused
    assert max(told.refused) < IN_TIME
    assert set(told.decoded) <= recorded_ids(server)
    assert "OK" in server.manage("verify_audit")


# SQLite: a full disk, and another process that writes for long.


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, int]]:
    """A server on SQLite, and its process id."""
    server = Installation(tmp_path_factory.mktemp("faults-sqlite"), free_port(), [ORIGIN])
    set_up(server)
    with process(server) as started:
        yield server, started.pid


@pytest.fixture(scope="module")
def sqlite_client(on_sqlite) -> CodecClient:
    server, _ = on_sqlite
    return CodecClient(server.url, cookie_of_alice(server))


def test_serving_process_publishes_signed_checkpoints_by_itself(on_sqlite):
    server, _ = on_sqlite
    file = server.directory / "audit_checkpoints.jsonl"
    wait_for(lambda: file.exists() and file.read_text().endswith("\n"))
    assert "management" in json.loads(file.read_text().splitlines()[0])["body"]["heads"]
    assert server.manage("verify_audit", "--checkpoint", str(file)).endswith("OK\n")


def test_disk_that_is_full(on_sqlite, sqlite_client):
    """The kernel refuses the process to make any file longer than a page, as a full disk would."""
    server, pid = on_sqlite
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))

    check(server, sqlite_client, lambda: limit(4096), lambda: limit(most))


def test_database_that_another_process_writes_to_for_long(on_sqlite, sqlite_client):
    server, _ = on_sqlite
    with closing(sqlite3.connect(server.directory / "db.sqlite3", timeout=20, isolation_level=None)) as blocker:
        check(server, sqlite_client, lambda: blocker.execute("BEGIN IMMEDIATE"), lambda: blocker.execute("ROLLBACK"))


# PostgreSQL: stopped, frozen and made read-only from outside.


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, database) -> Iterator[Installation]:
    with psycopg.connect(database.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE faults")
    url = database.get_uri().replace("/postgres?", "/faults?")
    assert "/faults?" in url
    server = OnPostgreSQL(tmp_path_factory.mktemp("faults"), free_port(), [ORIGIN], database_url=url)
    set_up(server)
    with process(server):
        yield server


@pytest.fixture(scope="module")
def client(faulty: Installation) -> CodecClient:
    return CodecClient(faulty.url, cookie_of_alice(faulty))


def test_database_that_became_read_only(faulty, client, database):
    def set_read_only(value: str) -> None:
        with psycopg.connect(database.get_uri(), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            connection.execute("SELECT pg_reload_conf()")

    check(faulty, client, lambda: set_read_only("on"), lambda: set_read_only("off"))


def test_database_that_stands_still(faulty, client):
    with psycopg.connect(faulty.database_url) as blocker:

        def lock() -> None:
            blocker.execute("LOCK TABLE keys_auditchain IN ACCESS EXCLUSIVE MODE")

        check(faulty, client, lock, blocker.rollback)


def test_database_that_stopped(faulty, client, database):
    check(faulty, client, database.stop, database.start)
