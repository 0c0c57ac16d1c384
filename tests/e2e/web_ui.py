"""Where the Temporal Web UI (2.54) shows the payloads of a workflow, in one place: these pages are not ours."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.e2e.people import Person

NARROW: ViewportSize = {"width": 360, "height": 740}
VIEWPORT: ViewportSize = {"width": 1500, "height": 1200}
# What the operator configured, and what the UI says by itself.
BANNER_MESSAGE = "This workflow is encrypted. Sign in to read it:"
BANNER_LINK = 'main a[href*="/login/"]'
UNCONFIGURED_MESSAGE = "Codec Server could not connect"
NO_QUERY = re.compile("This will fail if you have no workers running")
CIPHERTEXT = re.compile(r"[A-Za-z0-9+/]{80}")


class WorkflowPage:
    """One workflow in the Web UI. Each method opens a tab and returns the element that shows the payload."""

    def __init__(self, page: Page, ui_url: str, workflow_id: str) -> None:
        self.page = page
        self._url = f"{ui_url}/namespaces/default/workflows/{workflow_id}"

    def open(self) -> "WorkflowPage":
        """Load the workflow, as a bookmark or a reload does."""
        self.page.goto(self._url)
        expect(self.input_and_result()).to_contain_text("Result")
        return self

    def banner(self, message: str = BANNER_MESSAGE) -> Locator:
        """The red line that the UI shows when its codec server refuses or does not answer."""
        return self.page.locator("main").get_by_text(message)

    def banner_link(self) -> Locator:
        """The link beside the message; the UI shows its address as its text and opens it in a new tab."""
        return self.page.locator(BANNER_LINK)

    def input_and_result(self) -> Locator:
        """The two boxes above the timeline."""
        return self.page.get_by_test_id("input-and-result")

    def memo(self) -> Locator:
        self._tab("Memo")
        return self.page.get_by_role("textbox", name="Memo")

    def summary(self) -> Locator:
        """The user metadata, which the UI renders as Markdown in a frame."""
        self._tab("User Metadata")
        return self.page.frame_locator("main iframe").first.locator("body")

    def query_result(self) -> Locator:
        """Run the workflow's only query."""
        self._tab("Queries")
        self.page.get_by_role("button", name="Run Query").click()
        return self.page.get_by_test_id("query-result")

    def no_query(self) -> Locator:
        """What stands in place of the queries when their list cannot be decoded."""
        self._tab("Queries")
        return self.page.get_by_text(NO_QUERY)

    def failure(self) -> Locator:
        """The expanded event of the activity that failed for good."""
        self._tab("Event History")
        self.page.get_by_test_id("event-summary-row").filter(has_text="Activity Task Failed").click()
        return self.page.get_by_test_id("event-summary-row-expanded")

    def download(self) -> str:
        """Download the history as the UI offers it first, payloads encoded, and return it."""
        self._tab("Event History")
        self.page.get_by_role("button", name="Download").click()
        with self.page.expect_download() as download:
            self.page.get_by_role("dialog").get_by_role("button", name="Download").click()
        return Path(download.value.path()).read_text()

    def use_browser_setting(self, codec_url: str, *, credentials: bool = True) -> None:
        """Enter the codec server in the UI's own dialog, which keeps it in this browser's localStorage."""
        self.page.get_by_role("button", name="Configure Codec Server").click()
        self.page.get_by_text("Use my browser setting and ignore Cluster-level setting").click()
        self.page.get_by_label("Codec Server browser endpoint").fill(codec_url)
        if credentials:
            self.page.get_by_text("Include cross-origin credentials").click()

    def apply_browser_setting(self) -> None:
        self.page.get_by_role("button", name="Apply").click()

    def _tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()


def follow_banner_link(page: Page) -> Page:
    """Click the banner's link, whose text is its address, and return the tab that opens: our sign-in."""
    with page.expect_popup() as opened:
        page.locator(BANNER_LINK).click()
    expect(opened.value.locator("input[name=password]")).to_be_visible()
    return opened.value


def sign_in_through(page: Page, person: Person) -> Page:
    """Sign in by the banner's link and return its tab, which by then is back at the Web UI."""
    tab = follow_banner_link(page)
    fill_in(tab, person)
    return tab


def fill_in(page: Page, person: Person) -> None:
    """Send our sign-in form."""
    page.locator("input[name=username]").fill(person.username)
    page.locator("input[name=password]").fill(person.password)
    page.locator("input[name=password]").press("Enter")


class Screenshots:
    """Keeps pictures of pages under plain names, so that a directory listing tells the story."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory

    def take(self, page: Page, name: str) -> None:
        """Write the visible part of `page` to `name`.png."""
        page.screenshot(path=self._directory / f"{name}.png")

    def take_whole(self, page: Page, name: str) -> None:
        """Write all of `page`, however long, to `name`.png."""
        page.screenshot(path=self._directory / f"{name}.png", full_page=True)


class Looks:
    """Pictures of one of our own pages as different people see it: light, dark, and on a narrow screen."""

    def __init__(self, screenshots: Screenshots) -> None:
        self._screenshots = screenshots

    def take(self, page: Page, name: str) -> None:
        viewport = page.viewport_size or VIEWPORT
        self._screenshots.take_whole(page, f"{name}-light")
        page.emulate_media(color_scheme="dark")
        self._screenshots.take_whole(page, f"{name}-dark")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(NARROW)
        self._screenshots.take_whole(page, f"{name}-narrow")
        page.set_viewport_size(viewport)
