"""This server set up otherwise than usual: on PostgreSQL, or for cookies across sites. And a plain client of it."""

import json
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from demo.codec_server import Installation, serving, set_up
from demo.processes import free_port
from tests import postgresql
from tests.e2e.at_once import AtOnce
from tests.e2e.people import Person, sign_in

ORIGIN = "http://localhost:8080"
PLAIN = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImhpIg=="}


@dataclass(frozen=True, slots=True)
class OnPostgreSQL(Installation):
    """An installation whose database is a PostgreSQL server; `more` are environment variables."""

    database_url: str = field(kw_only=True)
    more: Mapping[str, str] = field(kw_only=True, default_factory=dict)

    def environment(self) -> Mapping[str, str]:
        return {**super(OnPostgreSQL, self).environment(), "DATABASE_URL": self.database_url, **self.more}


@contextmanager
def two_on_postgresql(directory: Path, **more: str) -> Iterator[tuple[OnPostgreSQL, OnPostgreSQL]]:
    """Serve as two processes with one database, one KEK and one secret key."""
    database = postgresql.start(directory / "postgresql")
    try:
        url = database.get_uri()
        first, second = (OnPostgreSQL(directory, free_port(), [ORIGIN], database_url=url, more=more) for _ in range(2))
        set_up(first)
        with serving(first), serving(second):
            yield first, second
    finally:
        database.cleanup()


@dataclass(frozen=True, slots=True)
class CrossSite(Installation):
    """Whose cookies may be sent across sites, for browsers that do."""

    def environment(self) -> Mapping[str, str]:
        return {**super(CrossSite, self).environment(), "CODEC_CROSS_SITE_COOKIES": "1"}


@dataclass(frozen=True, slots=True)
class CodecClient:
    """One person's client of one of the servers: a browser with a cookie, or a program with a token."""

    url: str
    cookie: str = ""
    token: str = ""

    def call(self, verb: str, payload: dict, namespace: str = "default") -> tuple[int, dict]:
        """POST one payload; return the status and the answered payload, or the problem."""
        try:
            with urllib.request.urlopen(self._request(verb, payload, namespace), timeout=20) as answer:
                return answer.status, json.load(answer)["payloads"][0]
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def encode(self, namespace: str = "default") -> dict:
        status, payload = self.call("encode", PLAIN, namespace)
        assert status == 200, payload
        return payload

    def decodes(self, payload: dict) -> bool:
        return self.call("decode", payload) == (200, PLAIN)

    def headers(self, namespace: str = "default") -> dict[str, str]:
        who = {"Authorization": f"Bearer {self.token}"} if self.token else {"Origin": ORIGIN, "Cookie": self.cookie}
        return {"Content-Type": "application/json", "X-Namespace": namespace} | who

    def _request(self, verb: str, payload: dict, namespace: str = "default") -> urllib.request.Request:
        return urllib.request.Request(f"{self.url}/{verb}", _body(payload), self.headers(namespace))


class KeptConnection:
    """A client that keeps its connection, as browsers do, and opens another one after an error."""

    def __init__(self, client: CodecClient) -> None:
        self._connection = AtOnce(urlsplit(client.url).netloc, timeout=30)
        self._headers = client.headers()

    def decode(self, payload: dict) -> tuple[int, str]:
        """POST one payload to /decode; return the status and the request id. Raises OSError, HTTPException."""
        try:
            self._connection.request("POST", "/decode", _body(payload), self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self.close()
            raise
        return answer.status, answer.headers["X-Request-ID"]

    def close(self) -> None:
        self._connection.close()


def _body(payload: dict) -> bytes:
    return json.dumps({"payloads": [payload]}).encode()


def cookie_of_alice(server: Installation) -> str:
    """Make alice, who may decode and encode in `default`, and sign her in at `server`."""
    return sign_in(server.url, make_person(server, "alice"))


def make_person(server: Installation, name: str) -> Person:
    """Make somebody who may decode and encode in `default`."""
    person = Person(name, secrets.token_urlsafe(15))
    script = f"from codec.models import User; User.objects.create_user({name!r}, password={person.password!r})"
    server.manage("shell", "--verbosity=0", stdin=script)
    server.manage("grant", name, "default", "--decode", "--encode", "--reason", "test")
    return person
