"""The Read page in a real browser: 20 MB of history, with progress, in bounded memory, one reading in the audit."""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from codec.payload_codec.chain import Encoder
from demo.codec_server import Installation, serving, set_up
from demo.encryption import OneKey
from demo.processes import free_port
from tests.e2e.conftest import KEY_ID, NAMESPACE
from tests.e2e.histories import history
from tests.e2e.people import Person
from tests.e2e.read_page import decode, open_event
from tests.e2e.shared_database import ORIGIN
from tests.e2e.web_ui import VIEWPORT, Screenshots, fill_in

MEGABYTE = 1_000_000
SIZE = 20 * MEGABYTE
PART = 1024 * 1024  # codec/read_pages.py
SHOWN_AT_ONCE = 300  # codec/static/codec/read.js
READINGS = """
import json
from keys.models import AuditRecord
rows = AuditRecord.objects.filter(action="payload:read").order_by("sequence").values_list("outcome", "details")
print(json.dumps(list(rows)))
"""
WATCH = """
() => {
  window.seen = { values: [], painted: 0 };
  let frames = 0;
  const count = () => { frames += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
  new MutationObserver(() => {
    const bar = document.querySelector("#result progress");
    if (!bar || bar.value === window.seen.values.at(-1)) return;
    window.seen.values.push(bar.value);
    if (frames) window.seen.painted += 1;
    frames = 0;
  }).observe(document.getElementById("result"), { childList: true, subtree: true, characterData: true });
}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """An installation that serves, and the process that does."""

    installation: Installation
    pid: int
    alice: Person

    def forget_peak(self) -> None:
        """Measure anew from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Return how many bytes were resident at most since `forget_peak`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def readings(self) -> dict[str, list[dict]]:
        """Return the parts that the audit has, by the reading that they belong to, in order."""
        rows = json.loads(self.installation.manage("shell", "--verbosity=0", stdin=READINGS))
        assert {outcome for outcome, _ in rows} <= {"allowed"}
        found: dict[str, list[dict]] = {}
        for _, details in rows:
            found.setdefault(details["read"], []).append(details)
        return found


@pytest.fixture(scope="module")
def encoder(key: bytes) -> Encoder:
    """What encrypts as the Workers do."""
    return Encoder(OneKey(KEY_ID, key))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: bytes) -> Iterator[Server]:
    installation = Installation(tmp_path_factory.mktemp("read"), free_port(), [ORIGIN])
    set_up(installation)
    installation.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    alice = Person("alice", secrets.token_urlsafe(15))
    script = f"from codec.models import User; User.objects.create_user('alice', password={alice.password!r})"
    installation.manage("shell", "--verbosity=0", stdin=script)
    installation.manage("grant", "alice", NAMESPACE, "--decode", "--reason", "end-to-end test")
    with serving(installation) as process:
        yield Server(installation, process.pid, alice)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    path = tmp_path_factory.mktemp("history") / "payment-1042_events.json"
    path.write_text(history(encoder, size=SIZE))
    return path


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The Read page, opened by alice."""
    with browser.new_context(viewport=VIEWPORT, accept_downloads=True) as context:
        page = context.new_page()
        page.goto(f"{server.installation.url}/login/?next=/read/")
        fill_in(page, server.alice)
        expect(page.get_by_role("heading", level=1)).to_have_text("Read payloads")
        yield page


def read_file(page: Page, path: Path) -> int:
    """Let the page decode a file, and return how many payloads are in it."""
    number = path.read_text().count('"encryption-key-id"')
    page.evaluate("document.getElementById('result').replaceChildren()")  # what the file before has left
    page.get_by_label("Or a file").set_input_files(path)
    decode(page)
    expect(page.locator("#result-title")).to_have_text(f"{number:,} payloads decoded", timeout=120_000)
    return number


def test_history_of_20_megabytes(page: Page, server: Server, exported: Path, screenshots: Screenshots) -> None:
    before = server.readings()
    page.evaluate(WATCH)
    number = read_file(page, exported)
    (parts,) = [parts for read, parts in server.readings().items() if read not in before]

    # One reading: its parts are numbered without a gap, and hold every payload once, none of them too much at a time.
    assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
    assert sum(part["payloads"] for part in parts) == number
    assert max(part["bytes"] for part in parts) <= PART

    # Progress at each part, and time to paint between most: the page was never busy from begin to end.
    seen = page.evaluate("window.seen")
    assert seen["values"][-1] == number
    assert len(seen["values"]) == len(parts) + 1
    assert seen["painted"] > len(parts) // 2

    # Rows come in batches, what is in one when it is opened, and all of it as a file.
    expect(page.locator("#result .parts > li")).to_have_count(SHOWN_AT_ONCE)
    page.locator("#result summary").nth(3).click()
    expect(page.locator("#result mark").first).to_contain_text("payload 1. ")
    screenshots.take(page, "12-read-large-history")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download readable").click()
    readable = Path(download.value.path()).read_text()
    assert f"payload {number}. " in readable
    assert "encryption-key-id" not in readable


def test_large_history_is_never_in_memory_as_a_whole(
    page: Page, server: Server, exported: Path, encoder: Encoder, tmp_path: Path
) -> None:
    """The server holds one part of 1 MiB at a time, in several forms, and each of its threads keeps room for one.

    As a whole, it would be there twice at least: as it came and as it is answered. Compared is what a small history,
    of two parts, needs as well. And nothing of a reading stays: the next one needs no more.
    """
    small = tmp_path / "small.json"
    small.write_text(history(encoder, size=SIZE // 10))
    read_file(page, small)
    server.forget_peak()
    read_file(page, small)
    before = server.peak()
    read_file(page, exported)
    first = server.peak()
    read_file(page, exported)
    assert first - before < SIZE
    assert server.peak() - first < SIZE // 2


def test_reading_can_be_stopped(page: Page, server: Server, exported: Path) -> None:
    before = server.readings()
    page.get_by_label("Or a file").set_input_files(exported)
    decode(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_have_text("Stopped. Nothing is shown.")
    stopped = [len(parts) for read, parts in server.readings().items() if read not in before]
    assert sum(stopped) < 10


def test_without_a_script_a_history_reads_as_well(browser: Browser, server: Server, encoder: Encoder) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.installation.url}/login/?next=/read/")
        fill_in(page, server.alice)
        page.get_by_label("JSON").fill(history(encoder, size=40_000))
        decode(page)
        event = page.locator("#result .parts > li").filter(has_text="4 Activity task scheduled").first
        event.locator("summary").click()
        expect(event).to_contain_text("payload 1. ")


def test_pieces_are_copied(page: Page, encoder: Encoder) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("JSON").fill(history(encoder, size=8_000))
    decode(page)
    open_event(page, "Activity task scheduled")
    page.get_by_role("button", name="Copy Activity task scheduled").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    event = json.loads(page.evaluate("navigator.clipboard.readText()"))
    (payload,) = event["activityTaskScheduledEventAttributes"]["input"]["payloads"]
    assert payload["data"].startswith("payload 1. ")
