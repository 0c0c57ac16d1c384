"""Where the Temporal Web UI (2.54) shows a workflow's payloads, in one place: its pages are not ours and will change."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

BANNER_MESSAGE = "This workflow is encrypted. Sign in to read it:"
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

    def banner(self) -> Locator:
        """The red line that the UI shows when its codec server refuses or does not answer."""
        return self.page.get_by_text(BANNER_MESSAGE)

    def input_and_result(self) -> Locator:
        """The two boxes above the timeline."""
        return self.page.get_by_test_id("input-and-result")

    def memo(self) -> Locator:
        self._tab("Memo")
        return self.page.locator("main .cm-content")

    def summary(self) -> Locator:
        """The user metadata, which the UI renders as Markdown in a frame."""
        self._tab("User Metadata")
        return self.page.frame_locator("main iframe").first.locator("body")

    def query_result(self) -> Locator:
        """Run the workflow's only query."""
        self._tab("Queries")
        self.page.get_by_role("button", name="Run Query").click()
        return self.page.get_by_test_id("query-result")

    def failure(self) -> Locator:
        """The expanded event of the activity that failed for good."""
        self._tab("Event History")
        self.page.get_by_test_id("event-summary-row").filter(has_text="Activity Task Failed").click()
        return self.page.get_by_test_id("event-summary-row-expanded")

    def _tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()


class Screenshots:
    """Numbered in the order they are taken, so that a directory listing tells the story."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory

    def take(self, page: Page, name: str) -> None:
        page.screenshot(path=self._directory / f"{name}.png")
