"""The cast and the tools of the tests.

alice may decode and encode in `payments`, bob is staff, mallory has an account and no rights.
"""

import base64
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from whitenoise.middleware import WhiteNoiseMiddleware

from codec import rate_limit, refusals, storage_access, token_format
from codec.grants import give_grant
from codec.models import User
from codec.observations import observations
from codecsite.logs import JsonLines
from keys import keyring
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord, KeyVersion, Namespace
from keys.rotation import create_namespace, import_key
from keys.wrapping.local import create_ring
from tests import canary
from tests.database import audit_unwritable, emptying_lifts_append_only  # noqa: F401  fixtures

UI_ORIGIN = "http://localhost:8080"
OPERATOR = Actor(kind=ActorKind.COMMAND, name="test")
PLAIN = {
    "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
    "data": base64.b64encode(f'"{canary.PLAINTEXT}"'.encode()).decode(),
}


class CodecClient(Client):
    """A browser at the Web UI's origin, holding one person's cookies. Every answer is watched for secrets."""

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if response.status_code >= 400 or request["PATH_INFO"].startswith("/admin"):
            canary.check(f"the answer of {request['PATH_INFO']}", whole(response))
        if cookie := self.cookies.get(django_settings.SESSION_COOKIE_NAME):
            canary.watch_cookie(cookie.value)
        return response

    def call(self, path: str, body: Any = None, *, namespace: str | None = "payments", **headers: str | None) -> Any:
        """POST to a codec endpoint as the Web UI does. A header of None is left out; `_` in its name stands for `-`."""
        sent: dict[str, str | None] = {"Origin": UI_ORIGIN, "X-Namespace": namespace}
        sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        content_type = sent.pop("Content-Type", "application/json")
        data = body if isinstance(body, bytes) else json.dumps({"payloads": []} if body is None else body)
        present = {name: value for name, value in sent.items() if value is not None}
        path, _, query = path.partition("?")
        # The test client takes //decode for a host name, so the path goes in by hand.
        target = {"PATH_INFO": path, "QUERY_STRING": query}
        return self.post("/", data, content_type=content_type or "", headers=present, **target)


def whole(response: Any) -> bytes:
    """Return the body; one that is streamed can still be read by the test afterwards."""
    if not response.streaming:
        return bytes(response.content)
    body: bytes = b"".join(response.streaming_content)
    response.streaming_content = [body]
    return body


@pytest.fixture(scope="session", autouse=True)
def kek() -> None:
    create_ring(Path(django_settings.CODEC_VAR) / "kek")


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Each test client makes the middleware anew; WhiteNoise would look through every static file each time."""
    found: dict[str, Any] = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def find_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture(autouse=True)
def quick_and_separate(settings: Any) -> Iterator[None]:
    """Passwords hash fast; counters that a process keeps start empty."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    rate_limit._buckets.clear()
    keyring.cache.clear()
    refusals._counts.clear()
    storage_access._noticed.clear()
    observations.clear()
    yield
    refusals._counts.clear()


@pytest.fixture(autouse=True)
def no_secret_shows(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After every test: no known secret in logs, audit rows or temporary files."""
    if "db" in request.fixturenames:
        request.getfixturevalue("db")
    caplog.set_level(logging.INFO)
    yield
    for record in caplog.records:
        canary.check("the logs", JsonLines().format(record))
    for file in Path(tempfile.gettempdir()).rglob("*"):
        with suppress(OSError):  # a folder, or gone since it was listed
            canary.check(f"the temporary file {file.name}", file.read_bytes())
    if "db" in request.fixturenames:
        for row in AuditRecord.objects.values():
            canary.check("the audit", repr(row))


@pytest.fixture(autouse=True)
def watched_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every API token that a test makes is a secret from then on, and so is its digest."""
    make = token_format.new_token

    def make_and_watch() -> token_format.TokenText:
        text = make()
        canary.watch_token(text.reveal)
        canary.watch_token(token_format.digest(text.reveal))
        return text

    monkeypatch.setattr(token_format, "new_token", make_and_watch)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", "alice@example.com", canary.PASSWORD)


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_superuser("bob", "bob@example.com", canary.PASSWORD)


@pytest.fixture
def mallory(db: None) -> User:
    return User.objects.create_user("mallory", "mallory@example.com", canary.PASSWORD)


@pytest.fixture
def payments(db: None) -> Namespace:
    return create_namespace("payments", actor=OPERATOR)


@pytest.fixture
def canary_key(payments: Namespace) -> KeyVersion:
    """The primary of `payments` is the known canary key, under the id `canary`."""
    return import_key(payments, "canary", canary.DATA_KEY, primary=True, actor=OPERATOR)


@pytest.fixture
def granted(alice: User, payments: Namespace) -> None:
    give_grant(alice, payments, decode=True, encode=True, actor=OPERATOR, reason="tests")


def signed_in(user: User) -> CodecClient:
    client = CodecClient()
    client.force_login(user)
    return client


@pytest.fixture
def browser(alice: User, granted: None, canary_key: KeyVersion) -> CodecClient:
    """alice's browser, signed in, with a grant to decode and encode in `payments`."""
    return signed_in(alice)


@pytest.fixture
def mallorys_browser(mallory: User, canary_key: KeyVersion) -> CodecClient:
    return signed_in(mallory)


@pytest.fixture
def bobs_browser(bob: User) -> CodecClient:
    """A superuser's browser: opens the admin, decodes nothing."""
    return signed_in(bob)


@pytest.fixture
def encoded(browser: CodecClient) -> dict[str, Any]:
    """The canary payload as /encode returns it for `payments`."""
    return browser.call("/encode", {"payloads": [PLAIN]}).json()["payloads"][0]
