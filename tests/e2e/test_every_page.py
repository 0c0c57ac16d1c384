"""Every page, as the person whose page it is sees it: axe finds nothing grave, and nothing is wider than the screen.

What is looked at is compared with the URLs that there are, so that a new page cannot be left out.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.urls import Resolver404, URLResolver, get_resolver, resolve
from playwright.sync_api import Browser, Page, ViewportSize, expect

from demo.codec_server import Installation, serving, set_up
from demo.processes import free_port
from tests.e2e.accessibility import CONTRAST, hindrances
from tests.e2e.furnished import NAMES
from tests.e2e.moved_clock import SomeTimeAgo, library
from tests.e2e.people import Person, sign_in
from tests.e2e.shared_database import ORIGIN, CodecClient
from tests.e2e.views import NO_PAGES, REFUSED, VIEWS, Site, View
from tests.e2e.web_ui import Screenshots, fill_in

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 375, "height": 740}
NARROW_RULES = ("scrollable-region-focusable", "target-size")
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
Pictures = Callable[[Page, str], None]
POLICY = "Content Security Policy"
FURNISH = "from tests.e2e.furnished import furnish\nfurnish({passwords!r})"


@pytest.fixture(scope="module")
def people() -> dict[str, Person]:
    return {name: Person(name, secrets.token_urlsafe(15)) for name in NAMES}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, people: dict[str, Person]) -> Iterator[Site]:
    """An installation whose people used it 40 minutes ago, which is long enough for an auditor to review it."""
    directory, port, origins = tmp_path_factory.mktemp("pages"), free_port(), [ORIGIN]
    earlier = SomeTimeAgo(directory, port, origins, libfaketime=library(), ago=timedelta(minutes=40))
    set_up(earlier)
    earlier.manage("setup_roles")
    passwords = {name: person.password for name, person in people.items()}
    rows = json.loads(earlier.manage("shell", "--verbosity=0", stdin=FURNISH.format(passwords=passwords)))
    with serving(earlier):
        payload = use(earlier, people)
    now = Installation(directory, port, origins)
    with serving(now):
        yield Site(now.url, rows | {"viewing": 1}, payload)


def use(server: Installation, people: dict[str, Person]) -> dict[str, Any]:
    """alice reads a payload several times, mallory is refused. Returns it as Temporal would have it."""
    alice = CodecClient(server.url, sign_in(server.url, people["alice"]))
    payload = alice.encode("payments")
    for _ in range(12):
        assert alice.call("decode", payload, "payments")[0] == 200
    mallory = CodecClient(server.url, sign_in(server.url, people["mallory"]))
    assert mallory.call("decode", payload, "refunds")[0] == 403
    return payload


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """What the browser complains about: scripts that fail, and what a page's own policy forbids it."""
    return []


@pytest.fixture(scope="module")
def page_of(browser: Browser, site: Site, people: dict[str, Person], complaints: list[str]) -> Callable[[str], Page]:
    """Return where somebody has signed in, or nobody; each has one page."""

    @cache
    def page_of(who: str) -> Page:
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if POLICY in said.text else None)
        if who:
            page.goto(f"{site.url}/login/")
            fill_in(page, people[who])
            expect(page.get_by_role("button", name="Sign out").first).to_be_visible()
        return page

    return page_of


@pytest.fixture(scope="module")
def pictures(screenshots: Screenshots) -> Pictures:
    """Takes a picture when somebody is going to look at it: TEST_PICTURES=1."""
    return screenshots.take_whole if os.environ.get("TEST_PICTURES") else lambda page, name: None


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_page_hinders_nobody(
    view: View, page_of: Callable[[str], Page], site: Site, pictures: Pictures, complaints: list[str]
) -> None:
    page = page_of(view.who)
    complaints.clear()
    page.goto(site.url + view.path.format_map(site.rows))
    view.prepare(page, site)
    assert look_at(page, lambda look: pictures(page, f"page-{view.name}-{look}")) == []
    assert complaints == []


def look_at(page: Page, picture: Callable[[str], None]) -> list[str]:
    """Return what hinders people on the page as it is; in light, in dark, and on a phone."""
    found = hindrances(page)
    picture("light")
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {each}" for each in hindrances(page, only=CONTRAST)]
    picture("dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    found += [f"narrow: {each}" for each in hindrances(page, only=NARROW_RULES)]
    found += [f"narrow: {pixels} px too wide" for pixels in [page.evaluate(TOO_WIDE)] if pixels > 0]
    picture("narrow")
    page.set_viewport_size(DESKTOP)
    return found


def test_what_nobody_may_is_refused_to_a_superuser(page_of: Callable[[str], Page], site: Site) -> None:
    ask = page_of("bob").request
    answers = {name: ask.get(site.url + path.format_map(site.rows)).status for name, path in REFUSED.items()}
    assert answers == dict.fromkeys(REFUSED, 403)


def test_no_page_is_left_out(site: Site) -> None:
    looked_at = {_route(view.path.partition("?")[0].format_map(site.rows)) for view in VIEWS}
    assert set(_routes(get_resolver())) - looked_at == NO_PAGES | REFUSED.keys()


def _route(path: str) -> str:
    """Return the name of the pattern for `path`; of a page that does not exist, none."""
    try:
        return resolve(path).view_name
    except Resolver404:
        return ""


def _routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Yield the name of every pattern below `resolver`, with its namespaces."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix)
        elif pattern.name:
            yield prefix + pattern.name
