"""An auditor reviews what two people did in the real Web UI, and prints the report."""

import base64
import csv
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from demo.background import BackgroundLoop
from demo.codec_server import serving, set_up
from demo.dev_server import DevServer
from demo.processes import free_port
from demo.ui_proxy import CodecSettings, ui_proxy
from demo.worker import MEMO, PAYMENT
from tests.e2e.conftest import KEY_ID, NAMESPACE
from tests.e2e.moved_clock import UnderMovedClock, library
from tests.e2e.people import Person
from tests.e2e.web_ui import BANNER_MESSAGE, VIEWPORT, Looks, Screenshots, WorkflowPage, fill_in

A4 = {"width": 794, "height": 1123}  # in CSS pixels
PEOPLE = """
from django.contrib.auth.models import Group
from django.core.management import call_command
from codec.models import User
call_command("setup_roles", verbosity=0)
User.objects.create_user("alice", password={alice!r})
User.objects.create_user("mallory", password={mallory!r})
carol = User.objects.create_user("carol", password={carol!r}, is_staff=True)
carol.groups.add(Group.objects.get(name="auditor"))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, temporal: DevServer, key: bytes) -> Iterator[UnderMovedClock]:
    """An installation of its own, whose clock the test may move."""
    libfaketime, origin = library(), f"http://localhost:{free_port()}"
    installation = UnderMovedClock(
        tmp_path_factory.mktemp("review"), free_port(), ui_origins=[origin], libfaketime=libfaketime
    )
    installation.advance(timedelta())
    set_up(installation)
    installation.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    with serving(installation):
        yield installation


@pytest.fixture(scope="module")
def people(server: UnderMovedClock) -> dict[str, Person]:
    """alice may read, mallory may not, carol is an auditor."""
    cast = {name: Person(name, secrets.token_urlsafe(15)) for name in ("alice", "mallory", "carol")}
    script = PEOPLE.format(**{name: person.password for name, person in cast.items()})
    server.manage("shell", "--verbosity=0", stdin=script)
    server.manage("grant", "alice", NAMESPACE, "--decode", "--reason", "end-to-end test")
    return cast


@pytest.fixture(scope="module")
def their_ui(background: BackgroundLoop, temporal: DevServer, server: UnderMovedClock) -> Iterator[str]:
    """The Web UI that asks this server. Gives its origin."""
    settings = CodecSettings(
        endpoint=server.url, default_error_message=BANNER_MESSAGE, default_error_link=f"{server.url}/login/"
    )
    port = int(server.ui_origins[0].rpartition(":")[2])
    with ui_proxy(background, upstream_url=temporal.ui_url, port=port, codec=settings) as url:
        yield url


def signed_in(browser: Browser, server: UnderMovedClock, person: Person) -> Page:
    page = browser.new_context(viewport=VIEWPORT, accept_downloads=True).new_page()
    page.goto(f"{server.url}/login/")
    fill_in(page, person)
    expect(page.get_by_role("button", name="Sign out").first).to_be_visible()
    return page


def viewing_of(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("checkbox")).filter(has_text=name)


def total(page: Page, name: str) -> Locator:
    """The figure under this title of the report."""
    return page.locator(".totals > div").filter(has_text=name).locator("dd").first


def use_the_web_ui(browser: Browser, server: UnderMovedClock, people: dict[str, Person], ui: str, payment: str) -> None:
    """alice reads the payment and its memo; mallory tries to."""
    alice = WorkflowPage(signed_in(browser, server, people["alice"]), ui, payment).open()
    expect(alice.input_and_result()).to_contain_text(PAYMENT.payer)
    expect(alice.memo()).to_contain_text(MEMO["customer_note"])
    mallory = WorkflowPage(signed_in(browser, server, people["mallory"]), ui, payment).open()
    expect(mallory.banner()).to_be_visible()


def test_auditor_reviews_and_prints_the_report(
    browser: Browser,
    server: UnderMovedClock,
    people: dict[str, Person],
    their_ui: str,
    payment: str,
    screenshots: Screenshots,
    tmp_path: Path,
) -> None:
    looks = Looks(screenshots)
    use_the_web_ui(browser, server, people, their_ui, payment)

    carol = signed_in(browser, server, people["carol"])
    carol.goto(f"{server.url}/admin/keys/viewing/")
    expect(carol.get_by_text("Still going on")).to_have_count(2)
    expect(carol.get_by_role("checkbox")).to_have_count(0)

    server.advance(timedelta(minutes=31))
    carol.reload()
    expect(viewing_of(carol, "alice")).to_contain_text("payloads of default")
    expect(viewing_of(carol, "alice")).to_contain_text("First time here")
    expect(viewing_of(carol, "mallory")).to_contain_text("denied in default")
    expect(viewing_of(carol, "mallory")).to_contain_text("Reason codes: no_grant")
    looks.take(carol, "10-viewings")

    viewing_of(carol, "mallory").get_by_role("link", name="mallory").click()
    carol.get_by_label("Note").fill("Asked mallory for a ticket")
    expect(carol.get_by_role("region", name="Audit records")).to_contain_text("no_grant")
    looks.take(carol, "10-viewing")
    carol.get_by_role("button", name="Follow up").click()
    expect(carol.locator("main")).to_contain_text("1 viewing marked for follow-up.")
    expect(carol.locator(".history")).to_contain_text("carol")

    carol.goto(f"{server.url}/admin/keys/viewing/")
    carol.get_by_label("All on this page").check()
    expect(carol.locator(".say")).to_contain_text("1 chosen")
    carol.get_by_role("button", name="Reviewed", exact=True).click()
    expect(carol.locator("main")).to_contain_text("1 viewing reviewed.")
    expect(carol.locator("main")).to_contain_text("Nothing waits for review.")

    carol.get_by_role("link", name="Report of a period").click()
    expect(total(carol, "Viewings")).to_have_text("2")
    expect(total(carol, "Follow-ups open")).to_have_text("1")
    expect(total(carol, "Not reviewed")).to_have_text("0")
    expect(carol.get_by_role("region", name="Who reviewed")).to_contain_text("carol")
    expect(carol.locator("main")).to_contain_text("Asked mallory for a ticket")
    looks.take(carol, "10-report")
    assert_printable(carol, screenshots, tmp_path / "report.pdf")

    with carol.expect_download() as download:
        carol.get_by_role("link", name="CSV of all viewings").click()
    with Path(download.value.path()).open(newline="") as file:
        reviewed = {row["person"]: (row["status"], row["last reviewed by"]) for row in csv.DictReader(file)}
    assert reviewed == {"alice": ("Reviewed", "carol"), "mallory": ("Follow up", "carol")}


def assert_printable(page: Page, screenshots: Screenshots, path: Path) -> None:
    """On paper there is the report and room for signatures, and nothing to click."""
    page.set_viewport_size(A4)
    page.emulate_media(media="print")
    expect(page.get_by_text("Signature")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).not_to_be_visible()
    expect(page.get_by_role("button", name="Print")).not_to_be_visible()
    screenshots.take_whole(page, "10-report-printed")
    page.pdf(path=path, format="A4")
    assert path.read_bytes().startswith(b"%PDF")
    page.emulate_media(media="screen")
    page.set_viewport_size(VIEWPORT)
