"""A real browser that sends no cookies across sites says so; the sign-in page then explains what helps.

To a browser, 127.0.0.1 and localhost are two sites, both trustworthy enough for the header.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from demo.codec_server import Installation, serving, set_up
from demo.processes import free_port
from tests.e2e.accessibility import hindrances
from tests.e2e.shared_database import CrossSite

ASK = """
endpoint => fetch(endpoint + "/decode", {
  method: "POST", credentials: "include", body: '{"payloads": []}',
  headers: {"Content-Type": "application/json", "X-Namespace": "default"},
}).then(answer => answer.status)
"""
EXPLANATION = "This browser holds back the cookie"


class EmptyPage(BaseHTTPRequestHandler):
    """Answers every address with a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Temporal</title>")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def ui() -> Iterator[str]:
    """The origin of pages on another site than the server's."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    with pages, ThreadPoolExecutor(1) as pool:
        pool.submit(pages.serve_forever)
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ui: str) -> Iterator[Installation]:
    installation = CrossSite(tmp_path_factory.mktemp("codec"), free_port(), ui_origins=[ui])
    set_up(installation)
    with serving(installation):
        yield installation


def test_sign_in_page_explains_to_the_browser_that_was_refused(page: Page, server: Installation, ui: str) -> None:
    page.goto(f"{ui}/namespaces/default/workflows")
    assert page.evaluate(ASK, server.url) == 401
    page.goto(f"{server.url}/login/?next={ui}/namespaces/default/workflows")
    expect(page.get_by_role("heading", name=EXPLANATION)).to_be_visible()
    assert hindrances(page) == []


def test_sign_in_page_explains_nothing_to_another_browser(page: Page, server: Installation) -> None:
    page.set_extra_http_headers({"User-Agent": "another browser"})
    page.goto(f"{server.url}/login/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("heading", name=EXPLANATION)).not_to_be_visible()
