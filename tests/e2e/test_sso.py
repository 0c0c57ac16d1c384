"""Single sign-on for real: a provider of its own, a browser, the Web UI. Sign in, read, be shut out, sign out."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from demo.background import BackgroundLoop
from demo.codec_server import serving
from demo.dev_server import DevServer
from demo.processes import free_port
from demo.ui_proxy import CodecSettings, ui_proxy
from demo.worker import PAYMENT
from tests.e2e.accessibility import hindrances
from tests.e2e.conftest import KEY_ID, NAMESPACE
from tests.e2e.provider import Account, OpenIDProvider, WithSingleSignOn, codec_server_at, openid_provider
from tests.e2e.web_ui import BANNER_MESSAGE, Screenshots, WorkflowPage

ACCOUNTS = {
    "alice": Account("alice@example.com", groups=("payments-readers",)),
    "bob": Account("bob@example.com"),
    "carol": Account("carol@example.com", email_verified=False),
    "mallory": Account("mallory@example.com"),
}
MAP_GROUP = """
from django.conf import settings
from django.contrib.auth.models import Group
from codec.models import GroupMapping
group = Group.objects.create(name="readers")
GroupMapping.objects.create(issuer=settings.CODEC_OIDC_ISSUER, provider_group="payments-readers", group=group)
"""
GROUPS_OF_ALICE = """
from codec.models import User
print(*User.objects.get(username="alice").groups.all())
"""
SET_ACTIVE = """
from codec.models import User
alice = User.objects.get(username="alice")
alice.is_active = {}
alice.save()
"""


@dataclass(frozen=True, slots=True)
class Site:
    """This server with single sign-on and no passwords, its provider, and where the Web UI will be."""

    codec: WithSingleSignOn
    provider: OpenIDProvider
    ui_url: str

    def shell(self, script: str) -> str:
        return self.codec.manage("shell", "--verbosity=0", stdin=script).strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, key: bytes) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("sso")
    port, ui_url = free_port(), f"http://localhost:{free_port()}"
    client = codec_server_at(f"http://localhost:{port}")
    with openid_provider(client, accounts=ACCOUNTS, log=directory / "provider.log") as provider:
        codec = WithSingleSignOn(directory, port, [ui_url], issuer=provider.issuer, client_secret=client.secret)
        install(codec, key)
        with serving(codec):
            yield Site(codec, provider, ui_url)


def install(codec: WithSingleSignOn, key: bytes) -> None:
    """Set up a server that expects alice, who may decode, carol, and bob as the administrator."""
    codec.manage("migrate", "--verbosity=0")
    assert "manage.py invite admin" in codec.manage("bootstrap")
    codec.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    codec.manage("shell", "--verbosity=0", stdin=MAP_GROUP)
    for username, name in (("alice", "alice"), ("carol", "carol"), ("admin", "bob")):
        codec.manage("invite", username, "--email", f"{name}@example.com")
    codec.manage("grant", "alice", NAMESPACE, "--decode", "--reason", "end-to-end test")


@pytest.fixture(scope="module")
def codec(site: Site) -> WithSingleSignOn:
    return site.codec


@pytest.fixture(scope="module")
def provider(site: Site) -> OpenIDProvider:
    return site.provider


@pytest.fixture(scope="module")
def ui(background: BackgroundLoop, temporal: DevServer, site: Site) -> Iterator[str]:
    settings = CodecSettings(
        endpoint=site.codec.url,
        default_error_message=BANNER_MESSAGE,
        default_error_link=f"{site.codec.url}/login/?next={site.ui_url}/namespaces/{NAMESPACE}/workflows",
    )
    port = int(site.ui_url.rpartition(":")[2])
    with ui_proxy(background, upstream_url=temporal.ui_url, port=port, codec=settings) as url:
        yield url


@pytest.fixture
def workflow(page: Page, ui: str, payment: str) -> WorkflowPage:
    return WorkflowPage(page, ui, payment)


def go_to_provider(page: Page, codec: WithSingleSignOn) -> None:
    page.goto(f"{codec.url}/login/")
    page.get_by_role("link", name="Sign in with Example SSO").click()


def sign_in(page: Page, codec: WithSingleSignOn, provider: OpenIDProvider, name: str) -> None:
    go_to_provider(page, codec)
    provider.fill_in(page, name)


def authorization_request(page: Page, provider: OpenIDProvider) -> list[str]:
    """Return a list that fills with the addresses at which the browser asks the provider to sign somebody in."""
    asked: list[str] = []

    def keep(request: Request) -> None:
        if request.url.startswith(f"{provider.issuer}/auth?"):
            asked.append(request.url)

    page.on("request", keep)
    return asked


def test_browser_signs_in_at_the_provider_and_then_reads_the_workflow(
    workflow: WorkflowPage, codec: WithSingleSignOn, provider: OpenIDProvider, ui: str, screenshots: Screenshots
) -> None:
    with workflow.open().page.expect_popup() as opened:
        workflow.banner_link().click()
    sign_in_page = opened.value
    asked = authorization_request(sign_in_page, provider)
    expect(sign_in_page.locator("input[name=password]")).to_have_count(0)
    screenshots.take(sign_in_page, "8-sso-our-page")
    sign_in_page.get_by_role("link", name="Sign in with Example SSO").click()
    screenshots.take(sign_in_page, "8-sso-the-provider")
    provider.fill_in(sign_in_page, "alice")
    expect(sign_in_page).to_have_url(re.compile(f"^{ui}/namespaces/default/workflows"))
    query = parse_qs(urlsplit(asked[0]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{codec.url}/login/sso/callback/"]
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.iban)
    expect(workflow.banner()).not_to_be_visible()
    screenshots.take(workflow.page, "8-sso-and-back-it-reads")


def test_person_who_is_disabled_here_reads_nothing_from_the_next_request_on(
    workflow: WorkflowPage, site: Site, screenshots: Screenshots
) -> None:
    sign_in(workflow.page, site.codec, site.provider, "alice")
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.iban)
    site.shell(SET_ACTIVE.format(False))
    try:
        workflow.page.reload()
        expect(workflow.banner()).to_be_visible()
        expect(workflow.input_and_result()).not_to_contain_text(PAYMENT.iban)
        screenshots.take(workflow.page, "8-sso-disabled")
        go_to_provider(workflow.page, site.codec)
        expect(workflow.page.get_by_role("heading")).to_contain_text("Your account here is switched off")
    finally:
        site.shell(SET_ACTIVE.format(True))


def test_groups_of_the_provider_are_memberships_here(page: Page, site: Site) -> None:
    sign_in(page, site.codec, site.provider, "alice")
    expect(page.get_by_role("heading", level=1)).to_contain_text("alice")
    assert site.shell(GROUPS_OF_ALICE) == "readers"


def test_signing_out_ends_the_session_at_the_provider_too(
    page: Page, context: BrowserContext, codec: WithSingleSignOn, provider: OpenIDProvider, screenshots: Screenshots
) -> None:
    sign_in(page, codec, provider, "alice")
    cookies = context.cookies(codec.url)
    page.get_by_role("button", name="Sign out").last.click()
    expect(page.get_by_role("heading")).to_have_text("Sign out of Example SSO")
    screenshots.take(page, "8-sso-sign-out")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{codec.url}/login/")
    go_to_provider(page, codec)
    expect(page).to_have_url(re.compile(f"^{provider.issuer}/sign-in/"))  # nobody is signed in there
    context.add_cookies([cookie for cookie in cookies if cookie["name"] == "__Host-codecsid"])  # type: ignore[misc]
    page.goto(codec.url)
    expect(page).to_have_url(re.compile("/login/"))


def test_signed_in_at_the_provider_already_there_is_nothing_to_enter(
    context: BrowserContext, codec: WithSingleSignOn, provider: OpenIDProvider
) -> None:
    page = context.new_page()
    sign_in(page, codec, provider, "alice")
    expect(page.get_by_role("heading", level=1)).to_contain_text("alice")
    context.clear_cookies(name="__Host-codecsid")
    go_to_provider(page, codec)
    expect(page.get_by_role("heading", level=1)).to_contain_text("You are signed in as alice")


@pytest.mark.parametrize(
    ("name", "why"), [("mallory", "nobody has invited you"), ("carol", "has verified your address")]
)
def test_person_who_is_not_let_in_is_told_why(
    page: Page, site: Site, screenshots: Screenshots, name: str, why: str
) -> None:
    sign_in(page, site.codec, site.provider, name)
    expect(page.get_by_role("heading")).to_have_text("You have no account on this codec server")
    expect(page.locator("main")).to_contain_text(why)
    expect(page.locator("main")).to_contain_text(site.provider.issuer)
    screenshots.take(page, f"8-sso-not-let-in-{name}")


def test_pressing_cancel_ends_on_our_page(
    page: Page, codec: WithSingleSignOn, provider: OpenIDProvider, screenshots: Screenshots
) -> None:
    go_to_provider(page, codec)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading")).to_have_text("The provider did not sign you in")
    screenshots.take(page, "8-sso-cancelled")
    assert hindrances(page) == []


def test_sign_in_page_with_its_button_hinders_nobody(page: Page, site: Site) -> None:
    page.goto(f"{site.codec.url}/login/")
    expect(page.get_by_role("main")).to_be_visible()
    assert hindrances(page) == []


def test_dangerous_act_takes_a_fresh_sign_in_at_the_provider(
    page: Page, codec: WithSingleSignOn, provider: OpenIDProvider, screenshots: Screenshots
) -> None:
    sign_in(page, codec, provider, "bob")
    codec.manage("publish_key", NAMESPACE, "--reason", "end-to-end test")
    page.goto(f"{codec.url}/admin/keys/namespace/")
    page.get_by_role("link", name=NAMESPACE, exact=True).click()
    page.get_by_role("link", name="Disable").first.click()
    screenshots.take(page, "9-fresh-login-asked")
    page.get_by_role("link", name="Sign in again").click()
    provider.fill_in(page, "bob")  # although bob is signed in there
    expect(page).to_have_url(re.compile("/disable/$"))
    page.get_by_label("Why?").fill("end-to-end test")
    screenshots.take(page, "9-fresh-login-done")
    page.get_by_role("button", name="Disable").click()
    expect(page.locator(".messagelist")).to_contain_text("decodes nothing any more")
