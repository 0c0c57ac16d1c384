"""The Connect page names what is wrong, in a real browser with the real Web UI, when exactly that is wrong.

It is open in one tab and never reloaded, while Temporal's page is tried in another.
"""

import base64
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.background import BackgroundLoop
from demo.codec_server import Installation, serving, set_up
from demo.dev_server import DevServer
from demo.processes import free_port
from demo.ui_proxy import CodecSettings, ui_proxy
from tests.e2e.conftest import CHROMIUM_FLAGS, KEY_ID, NAMESPACE, chromium_path
from tests.e2e.people import Person
from tests.e2e.shared_database import CrossSite
from tests.e2e.web_ui import VIEWPORT, Screenshots, WorkflowPage, fill_in

Says = Callable[[Page, str, str], None]
PEOPLE = "from codec.models import User\n{}"
STEPS = {
    "origin_not_allowed": "Its origin may call",
    "credentials_off": "It carried a credential",
    "cookies_blocked": "It carried a credential",
    "not_signed_in_then": "It carried a credential",
    "session_ended": "The credential is valid",
    "no_grant": "You have a grant",
    "granted_since": "You have a grant",
}


@dataclass(frozen=True, slots=True)
class Uis:
    """Origins of the real Web UI, each with one thing wrong, and one with none."""

    right: str
    another_site: str
    not_allowed: str
    no_credentials: str
    wrong_endpoint: str


@pytest.fixture(scope="module")
def uis() -> Uis:
    right, *others = (f"http://localhost:{free_port()}" for _ in range(4))
    return Uis(right, right.replace("localhost", "127.0.0.1"), *others)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, temporal: DevServer, key: bytes, uis: Uis
) -> Iterator[Installation]:
    """An installation that lets its cookie go to other sites, so that only the browser keeps it back."""
    allowed = [uis.right, uis.another_site, uis.no_credentials, uis.wrong_endpoint]
    installation = CrossSite(tmp_path_factory.mktemp("connect"), free_port(), allowed)
    set_up(installation)
    installation.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    with serving(installation):
        yield installation


@pytest.fixture(scope="module")
def people(server: Installation) -> dict[str, Person]:
    """alice may read, mallory may not."""
    cast = {name: Person(name, secrets.token_urlsafe(15)) for name in ("alice", "mallory")}
    calls = [f"User.objects.create_user({each.username!r}, password={each.password!r})" for each in cast.values()]
    server.manage("shell", "--verbosity=0", stdin=PEOPLE.format("\n".join(calls)))
    server.manage("grant", "alice", NAMESPACE, "--decode", "--reason", "end-to-end test")
    return cast


@pytest.fixture(scope="module")
def running_uis(background: BackgroundLoop, temporal: DevServer, server: Installation, uis: Uis) -> Iterator[Uis]:
    nobody = f"http://localhost:{free_port()}"
    with ExitStack() as stack:
        for origin, endpoint in (
            (uis.right, server.url),
            (uis.not_allowed, server.url),
            (uis.no_credentials, server.url),
            (uis.wrong_endpoint, nobody),
        ):
            settings = CodecSettings(
                endpoint=endpoint,
                default_error_message="Sign in",
                default_error_link=f"{server.url}/",
                include_credentials=origin != uis.no_credentials,
            )
            port = int(origin.rpartition(":")[2])
            stack.enter_context(ui_proxy(background, upstream_url=temporal.ui_url, port=port, codec=settings))
        yield uis


@dataclass(frozen=True, slots=True)
class Trial:
    """One person at one browser, which the server tells from others by its name."""

    context: BrowserContext
    server: Installation
    payment: str

    def connect(self, person: Person) -> Page:
        """Sign in and open the Connect page."""
        page = self.context.new_page()
        page.goto(f"{self.server.url}/login/?next=/connect/")
        fill_in(page, person)
        expect(page.get_by_role("heading", level=1)).to_have_text("Connect Temporal")
        return page

    def open(self, ui: str) -> WorkflowPage:
        """Open the workflow in this Web UI."""
        return WorkflowPage(self.context.new_page(), ui, self.payment).open()


Try = Callable[[Browser], AbstractContextManager[Trial]]


@pytest.fixture
def trial_in(request: pytest.FixtureRequest, server: Installation, running_uis: Uis, payment: str) -> Try:
    """Return what begins a trial in a browser."""

    @contextmanager
    def begin(browser: Browser) -> Iterator[Trial]:
        with browser.new_context(viewport=VIEWPORT, user_agent=f"Chrome of {request.node.name}") as context:
            yield Trial(context, server, payment)

    return begin


@pytest.fixture
def trial(browser: Browser, trial_in: Try) -> Iterator[Trial]:
    with trial_in(browser) as trial:
        yield trial


@pytest.fixture
def says(screenshots: Screenshots) -> Says:
    """Wait until the page, which nobody reloads, names this cause at its step; and take a picture of it."""

    def says(page: Page, cause: str, title: str) -> None:
        expect(page.locator("[data-cause]")).to_have_attribute("data-cause", cause)
        expect(page.locator("[data-cause] h3")).to_have_text(title)
        failed = page.locator(".steps .bad .name")
        expect(failed).to_have_text([f"{STEPS[cause]}: no"] if cause in STEPS else [])
        screenshots.take_whole(page, f"11-connect-{cause}")

    return says


def test_nothing_wrong(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["alice"])
    says(page, "nothing_arrived", "Nothing has arrived from this browser")
    trial.open(uis.right)
    says(page, "works", "Temporal's page is connected")
    expect(page.locator(".steps .good")).to_have_count(6)


def test_origin_that_is_not_allowed(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["alice"])
    trial.open(uis.not_allowed)
    says(page, "origin_not_allowed", f"{uis.not_allowed} may not call this server")
    expect(page.locator(".remedy")).to_contain_text(f"adds {uis.not_allowed} to CODEC_UI_ORIGINS")


def test_page_that_sends_no_cookie(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["alice"])
    trial.open(uis.no_credentials)
    says(page, "credentials_off", "The page sent neither cookie nor token")
    expect(page.locator(".remedy")).to_contain_text("Include cross-origin credentials")


def test_browser_that_blocks_the_cookie(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["alice"])
    trial.open(uis.another_site)
    says(page, "cookies_blocked", "This browser keeps your session cookie back")
    expect(page.locator(".steps")).to_contain_text("Sec-Fetch-Storage-Access: none")


def test_nobody_had_signed_in(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    workflow = trial.open(uis.right)
    page = trial.connect(people["alice"])
    says(page, "not_signed_in_then", "You were not signed in then")
    workflow.open()
    says(page, "works", "Temporal's page is connected")


def test_session_that_has_ended(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["alice"])
    trial.open(uis.right)
    says(page, "works", "Temporal's page is connected")
    page.close()  # its own next look would tell the browser to drop the cookie
    end_sessions_elsewhere(trial, people["alice"])
    trial.open(uis.right)
    says(trial.connect(people["alice"]), "session_ended", "The session had ended")


def test_connect_page_says_that_its_own_session_has_ended(trial: Trial, people: dict[str, Person]) -> None:
    page = trial.connect(people["alice"])
    end_sessions_elsewhere(trial, people["alice"])
    expect(page.locator("#updates")).to_contain_text("You are signed out here. Sign in again")


def end_sessions_elsewhere(trial: Trial, person: Person) -> None:
    """Sign in with another browser, and sign out everywhere there."""
    browser = trial.context.browser
    assert browser is not None
    with browser.new_context(user_agent="another") as context:
        page = context.new_page()
        page.goto(f"{trial.server.url}/login/?next=/sessions/")
        fill_in(page, person)
        page.get_by_role("button", name="Sign out everywhere").click()
        expect(page).to_have_url(f"{trial.server.url}/login/")


def test_person_without_a_grant(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["mallory"])
    workflow = trial.open(uis.right)
    says(page, "no_grant", f"You have no grant to decode in {NAMESPACE}")
    trial.server.manage("grant", "mallory", NAMESPACE, "--decode", "--reason", "end-to-end test")
    says(page, "granted_since", "You have been given access since")
    workflow.open()
    says(page, "works", "Temporal's page is connected")


def test_endpoint_where_nothing_answers(trial: Trial, people: dict[str, Person], uis: Uis, says: Says) -> None:
    page = trial.connect(people["alice"])
    trial.open(uis.wrong_endpoint)
    with page.expect_response("**/connect/seen/"):
        pass
    says(page, "nothing_arrived", "Nothing has arrived from this browser")
    hindrances = page.locator(".hindrances")
    for named in ("Wrong endpoint", "Mixed Content", "Local Network Access", trial.server.url):
        expect(hindrances).to_contain_text(named)


def test_chrome_that_keeps_pages_of_the_internet_off_this_machine(
    browser: Browser, trial_in: Try, people: dict[str, Person], uis: Uis, says: Says
) -> None:
    """Local Network Access: the browser takes the Web UI for one of the internet, and nobody has allowed it."""
    place = uis.right.removeprefix("http://").replace("localhost", "127.0.0.1")
    flags = [*CHROMIUM_FLAGS, f"--ip-address-space-overrides={place}=public"]
    chrome = browser.browser_type.launch(executable_path=chromium_path(), args=flags)
    with chrome, trial_in(chrome) as trial:
        page = trial.connect(people["alice"])
        console: list[str] = []
        trial.context.on("console", lambda said: console.append(said.text))
        trial.open(uis.right)
        with page.expect_response("**/connect/seen/"):
            pass
        says(page, "nothing_arrived", "Nothing has arrived from this browser")
        said = next(line for line in console if "blocked" in line)
        named = page.locator(".hindrances dt").filter(has_text="Permission was denied … address space")
        expect(named).to_be_visible()
        assert re.search("Permission was denied .* address space", said)
