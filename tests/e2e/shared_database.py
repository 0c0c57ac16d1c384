"""This server set up otherwise than usual: on PostgreSQL, or for cookies across sites. And a plain client of it."""

import json
import secrets
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.error import HTTPError

from demo.codec_server import Installation
from tests.e2e.people import Person, sign_in

ORIGIN = "http://localhost:8080"
PLAIN = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImhpIg=="}


@dataclass(frozen=True, slots=True)
class OnPostgreSQL(Installation):
    """An installation whose database is a PostgreSQL server."""

    database_url: str = field(kw_only=True)

    def environment(self) -> Mapping[str, str]:
        return {**super(OnPostgreSQL, self).environment(), "DATABASE_URL": self.database_url}


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

    def decode_noting_id(self, payload: dict) -> tuple[int, str]:
        """POST one payload to /decode; return the status and the request id of the answer."""
        try:
            with urllib.request.urlopen(self._request("decode", payload), timeout=30) as answer:
                answer.read()
                return answer.status, answer.headers["X-Request-ID"]
        except HTTPError as error:
            with error:
                return error.code, error.headers["X-Request-ID"]

    def encode(self, namespace: str = "default") -> dict:
        status, payload = self.call("encode", PLAIN, namespace)
        assert status == 200, payload
        return payload

    def _request(self, verb: str, payload: dict, namespace: str = "default") -> urllib.request.Request:
        headers = {"Content-Type": "application/json", "X-Namespace": namespace}
        headers |= (
            {"Authorization": f"Bearer {self.token}"} if self.token else {"Origin": ORIGIN, "Cookie": self.cookie}
        )
        return urllib.request.Request(f"{self.url}/{verb}", json.dumps({"payloads": [payload]}).encode(), headers)

    def decodes(self, payload: dict) -> bool:
        return self.call("decode", payload) == (200, PLAIN)


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
