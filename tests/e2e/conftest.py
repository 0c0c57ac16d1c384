"""The parts that every end-to-end test needs, all real: Temporal, its Web UI, this server as a process, a Worker.

Each starts once for the whole test session. The cast (see people.py): alice is granted, bob is granted and will
be revoked, mallory has nothing.
"""

import base64
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from temporalio.client import Client

from demo.background import BackgroundLoop, background_loop
from demo.codec_server import Installation, serving, set_up
from demo.dev_server import DevServer, dev_server
from demo.encryption import encrypting_converter
from demo.processes import free_port
from demo.ui_proxy import CodecSettings, ui_proxy
from demo.worker import make_payment, worker
from tests.e2e.people import Person
from tests.e2e.web_ui import BANNER_MESSAGE, VIEWPORT, Screenshots

NAMESPACE = "default"
KEY_ID = "workers-key-2026"
WORKFLOW_ID = "payment-1042"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Fixed before anything starts: each part is told where the others will be."""

    codec: int
    ui: int


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that `-m "not e2e"` leaves them all out."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def ports() -> Ports:
    return Ports(codec=free_port(), ui=free_port())


@pytest.fixture(scope="session")
def ui_url(ports: Ports) -> str:
    """The origin of the Web UI whose codec is configured, as an operator would."""
    return f"http://localhost:{ports.ui}"


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """The Temporal server. Its own Web UI knows of no codec."""
    with dev_server(tmp_path_factory.mktemp("temporal") / "temporal.log") as server:
        yield server


@pytest.fixture(scope="session")
def key() -> bytes:
    """The key that the Worker encrypts with, and that was imported into the codec server."""
    return secrets.token_bytes(32)


@pytest.fixture(scope="session")
def codec(
    tmp_path_factory: pytest.TempPathFactory, ports: Ports, ui_url: str, temporal: DevServer, key: bytes
) -> Iterator[Installation]:
    """This project's server, serving, on SQLite in a directory of its own."""
    installation = Installation(tmp_path_factory.mktemp("codec"), ports.codec, ui_origins=[ui_url, temporal.ui_url])
    set_up(installation)
    installation.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    with serving(installation):
        yield installation


@pytest.fixture(scope="session")
def cast(codec: Installation) -> dict[str, Person]:
    people = {name: Person(name, secrets.token_urlsafe(15)) for name in ("alice", "bob", "mallory")}
    _create_users(codec, people)
    return people


@pytest.fixture(scope="session")
def alice(codec: Installation, cast: dict[str, Person]) -> Person:
    """May decode and encode."""
    codec.manage("grant", "alice", NAMESPACE, "--decode", "--encode", "--reason", "end-to-end test")
    return cast["alice"]


@pytest.fixture
def bob(codec: Installation, cast: dict[str, Person]) -> Person:
    """May decode, until the test revokes it."""
    codec.manage("grant", "bob", NAMESPACE, "--decode", "--reason", "end-to-end test")
    return cast["bob"]


@pytest.fixture(scope="session")
def mallory(cast: dict[str, Person]) -> Person:
    """Can sign in, and may do nothing."""
    return cast["mallory"]


@pytest.fixture(scope="session")
def background() -> Iterator[BackgroundLoop]:
    with background_loop() as loop:
        yield loop


@pytest.fixture(scope="session")
def ui(
    background: BackgroundLoop, temporal: DevServer, codec: Installation, ports: Ports, ui_url: str
) -> Iterator[str]:
    """The Web UI with the codec settings of the UI's image. Gives its origin."""
    settings = CodecSettings(
        endpoint=codec.url,
        default_error_message=BANNER_MESSAGE,
        default_error_link=f"{codec.url}/login/?next={ui_url}/namespaces/{NAMESPACE}/workflows",
    )
    with ui_proxy(background, upstream_url=temporal.ui_url, port=ports.ui, codec=settings) as url:
        yield url


@pytest.fixture(scope="session")
def client(background: BackgroundLoop, temporal: DevServer, key: bytes) -> Iterator[Client]:
    """A client that encrypts, with a Worker running beside it."""
    with worker(background, temporal.address, encrypting_converter(KEY_ID, key)) as connected:
        yield connected


@pytest.fixture(scope="session")
def payment(background: BackgroundLoop, client: Client) -> str:
    """The id of a workflow that has ended, every payload of it encrypted."""
    make_payment(background, client, WORKFLOW_ID)
    return WORKFLOW_ID


@pytest.fixture(scope="session")
def screenshots() -> Screenshots:
    """Pictures of each step, in a folder that git does not see."""
    return Screenshots(Path(__file__).resolve().parent.parent / "output")


# Of the module, not the session: while Playwright runs, Django takes this thread for an asynchronous one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium_path()
    expect.set_options(timeout=20_000)  # two cores that run everything at once are slow at times
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody has used before."""
    with browser.new_context(viewport=VIEWPORT) as fresh:
        yield fresh


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def _create_users(codec: Installation, people: dict[str, Person]) -> None:
    calls = [f"get_user_model().objects.create_user({p.username!r}, password={p.password!r})" for p in people.values()]
    script = "\n".join(["from django.contrib.auth import get_user_model", *calls])
    codec.manage("shell", "--verbosity=0", stdin=script)


def chromium_path() -> str:
    """Return the path of a Chromium, or skip; inside CI a browser test must not be skipped."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found:
        return found
    reason = "NO CHROMIUM FOUND: the browser tests did not run. Install chromium, or set CHROMIUM to its path."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
