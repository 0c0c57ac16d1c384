"""Three people and the real Web UI: refused, asked, approved for an hour, read; and refused again when it is over."""

import base64
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.background import BackgroundLoop
from demo.codec_server import serving, set_up
from demo.dev_server import DevServer
from demo.processes import free_port
from demo.ui_proxy import CodecSettings, ui_proxy
from demo.worker import PAYMENT
from tests.e2e.conftest import KEY_ID, NAMESPACE
from tests.e2e.moved_clock import UnderMovedClock, library
from tests.e2e.people import Person
from tests.e2e.web_ui import BANNER_MESSAGE, VIEWPORT, Looks, Screenshots, WorkflowPage, fill_in, follow_banner_link

PEOPLE = """
from django.contrib.auth.models import Group
from codec.models import NamespacePolicy, User
from keys.models import Namespace
approvers, on_call = Group.objects.create(name="approvers"), Group.objects.create(name="on-call")
User.objects.create_user("alice", "alice@example.com", {alice!r}).groups.add(approvers)
User.objects.create_user("mallory", "mallory@example.com", {mallory!r})
User.objects.create_user("olga", "olga@example.com", {olga!r}).groups.add(on_call)
namespace = Namespace.objects.get()
NamespacePolicy.objects.create(namespace=namespace, approvers=approvers, break_glass_group=on_call)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, temporal: DevServer, key: bytes) -> Iterator[UnderMovedClock]:
    """An installation of its own, whose clock the test may move."""
    libfaketime, ui_port = library(), free_port()
    directory = tmp_path_factory.mktemp("clock")
    installation = UnderMovedClock(
        directory, free_port(), ui_origins=[f"http://localhost:{ui_port}"], libfaketime=libfaketime
    )
    installation.advance(timedelta())
    set_up(installation)
    installation.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    with serving(installation):
        yield installation


@pytest.fixture(scope="module")
def people(server: UnderMovedClock) -> dict[str, Person]:
    """alice approves requests, olga may break the glass, mallory has nothing."""
    cast = {name: Person(name, secrets.token_urlsafe(15)) for name in ("alice", "mallory", "olga")}
    script = PEOPLE.format(**{name: person.password for name, person in cast.items()})
    server.manage("shell", "--verbosity=0", stdin=script)
    return cast


@pytest.fixture(scope="module")
def their_ui(background: BackgroundLoop, temporal: DevServer, server: UnderMovedClock) -> Iterator[str]:
    """The Web UI that sends its refused readers to this server. Gives its origin."""
    (origin,) = server.ui_origins
    settings = CodecSettings(
        endpoint=server.url,
        default_error_message=BANNER_MESSAGE,
        default_error_link=f"{server.url}/login/?next={origin}/namespaces/{NAMESPACE}/workflows",
    )
    port = int(origin.rpartition(":")[2])
    with ui_proxy(background, upstream_url=temporal.ui_url, port=port, codec=settings) as url:
        yield url


def assert_unreadable(workflow: WorkflowPage) -> None:
    expect(workflow.banner()).to_be_visible()
    assert PAYMENT.payer not in workflow.page.content()


def sign_in(browser: Browser, server: UnderMovedClock, person: Person) -> Page:
    """Sign in somewhere else and return the start page."""
    page = browser.new_context(viewport=VIEWPORT).new_page()
    page.goto(f"{server.url}/login/")
    fill_in(page, person)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"You are signed in as {person.username}")
    return page


def test_access_is_asked_for_given_and_over(
    browser: Browser,
    page: Page,
    server: UnderMovedClock,
    people: dict[str, Person],
    their_ui: str,
    payment: str,
    screenshots: Screenshots,
) -> None:
    looks = Looks(screenshots)
    workflow = WorkflowPage(page, their_ui, payment).open()
    assert_unreadable(workflow)

    mallory = follow_banner_link(page)
    fill_in(mallory, people["mallory"])
    expect(mallory).to_have_url(re.compile(f"^{server.url}/access/request/\\?namespace={NAMESPACE}&"))
    expect(mallory.get_by_label("Namespace")).to_have_value(NAMESPACE)
    mallory.get_by_label("Why do you need it?").fill("Customer 4711 asks where her payment is")
    mallory.get_by_label("Ticket (optional)").fill("OPS-12")
    looks.take(mallory, "9-request-access")
    mallory.get_by_role("button", name="Send the request").click()
    expect(mallory.get_by_role("listitem").filter(has_text="Customer 4711")).to_contain_text("waiting")
    looks.take(mallory, "9-request-waits")
    assert_unreadable(workflow.open())

    alice = sign_in(browser, server, people["alice"])
    looks.take(alice, "9-approver-start-page")
    alice.get_by_role("link", name=f"Answer the request of mallory for {NAMESPACE}").click()
    alice.get_by_label("For how many hours?").fill("1")
    looks.take(alice, "9-answer")
    alice.get_by_role("button", name="Approve").click()
    expect(alice.get_by_role("status")).to_contain_text(f"mallory may read {NAMESPACE} until ")

    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.payer)
    screenshots.take(page, "9-mallory-reads")
    mallory.goto(f"{server.url}/")
    expect(mallory.locator("main")).to_contain_text("Approved by alice until")
    looks.take(mallory, "9-my-access")

    server.advance(timedelta(minutes=59))
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.payer)
    server.advance(timedelta(minutes=61))
    page.reload()
    assert_unreadable(workflow)
    screenshots.take(page, "9-the-hour-is-over")
    mallory.goto(f"{server.url}/")
    expect(mallory.locator("main")).to_contain_text("You have no grant now")


def test_broken_glass_shows_to_who_broke_it_and_to_the_approvers(
    browser: Browser,
    page: Page,
    server: UnderMovedClock,
    people: dict[str, Person],
    their_ui: str,
    payment: str,
    screenshots: Screenshots,
) -> None:
    looks = Looks(screenshots)
    workflow = WorkflowPage(page, their_ui, payment).open()
    olga = follow_banner_link(page)
    fill_in(olga, people["olga"])
    olga.get_by_role("link", name="break the glass").click()
    olga.get_by_label("Why do you need it?").fill("All payments fail and nobody answers")
    looks.take(olga, "9-break-glass")
    olga.get_by_role("button", name="Break glass").click()
    expect(olga.locator("main")).to_contain_text("You are using break-glass access to")
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.payer)
    olga.goto(f"{server.url}/")
    looks.take(olga, "9-break-glass-in-use")
    alice = sign_in(browser, server, people["alice"])
    expect(alice.locator("main")).to_contain_text("olga is using break-glass access to")
    looks.take(alice, "9-break-glass-seen-by-approvers")
