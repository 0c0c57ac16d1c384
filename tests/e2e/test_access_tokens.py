"""The real Web UI with "Pass access token" on, over https, and the tokens of a real OpenID provider in its browser.

Two ways to pass them: an access token that is a JWT for this server, in `Authorization`; and an opaque one, with the ID
token beside it, in `Authorization-Extras`. This server has an issuer for each.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Response, expect

from demo.background import BackgroundLoop
from demo.codec_server import serving, set_up
from demo.dev_server import DevServer
from demo.processes import free_port
from demo.ui_proxy import CodecSettings, ui_proxy
from demo.worker import PAYMENT
from tests.e2e import moved_clock
from tests.e2e.certificate import Certificate, make_certificate
from tests.e2e.conftest import KEY_ID, NAMESPACE
from tests.e2e.moved_clock import UnderMovedClock
from tests.e2e.provider import Account, OpenIDProvider, RelyingParty, openid_provider
from tests.e2e.web_ui import BANNER_MESSAGE, VIEWPORT, Screenshots, WorkflowPage
from tests.e2e.web_ui_tokens import Tokens, tokens_of, web_ui_at

AUDIENCE = "https://codec.example.com"
ANOTHER = "https://another.example.com"
ACCOUNTS = {"alice": Account("alice@example.com")}
LONGER_THAN_A_TOKEN = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class TrustingAnIssuer(UnderMovedClock):
    """Whose TLS ends at the server itself, and which takes the tokens of one provider from both headers."""

    tls: Certificate
    issuer: str
    client_id: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", f"https://localhost:{self.port}")

    def environment(self) -> Mapping[str, str]:
        issuer = {"URL": self.issuer, "JWKS_URL": f"{self.issuer}/jwks"}
        access = issuer | {"AUDIENCES": AUDIENCE}
        # oidc-provider's ID tokens have no `typ`, like Okta's.
        identity = issuer | {"PRESET": "self-hosted", "AUDIENCES": self.client_id, "UNTYPED": "1"}
        return {
            **super(TrustingAnIssuer, self).environment(),
            "CODEC_PUBLIC_URL": self.url,
            "CODEC_TLS_CERTIFICATE": str(self.tls.certificate),
            "CODEC_TLS_PRIVATE_KEY": str(self.tls.private_key),
            "CODEC_BIND": "127.0.0.1",
            "CODEC_TOKEN_ISSUERS": "access,identity",
            **{f"CODEC_ISSUER_ACCESS_{name}": value for name, value in access.items()},
            **{f"CODEC_ISSUER_IDENTITY_{name}": value for name, value in identity.items()},
        }


@dataclass(frozen=True, slots=True)
class Providers:
    """The one that this server trusts, another that does not differ but in its name and keys, and their clients."""

    trusted: OpenIDProvider
    other: OpenIDProvider
    web_ui: RelyingParty
    another_client: RelyingParty


@pytest.fixture(scope="module")
def ui_url() -> str:
    return f"http://localhost:{free_port()}"


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory, ui_url: str) -> Iterator[Providers]:
    directory = tmp_path_factory.mktemp("providers")
    clients = [web_ui_at(ui_url, client_id=name) for name in ("temporal-ui", "another-client")]
    with (
        openid_provider(*clients, accounts=ACCOUNTS, log=directory / "trusted.log") as trusted,
        openid_provider(*clients, accounts=ACCOUNTS, log=directory / "other.log") as other,
    ):
        yield Providers(trusted, other, *clients)


@pytest.fixture(scope="module")
def codec(
    tmp_path_factory: pytest.TempPathFactory, ui_url: str, providers: Providers, key: bytes
) -> Iterator[TrustingAnIssuer]:
    """A server that knows alice by her subject at the trusted provider, and lets her decode."""
    directory = tmp_path_factory.mktemp("codec")
    tls = make_certificate(tmp_path_factory.mktemp("certificate"))
    server = TrustingAnIssuer(
        directory,
        free_port(),
        [ui_url],
        libfaketime=moved_clock.library(),
        tls=tls,
        issuer=providers.trusted.issuer,
        client_id=providers.web_ui.id,
    )
    server.advance(timedelta(0))
    set_up(server)
    server.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
    server.manage("invite", "alice", "--subject", "alice", "--issuer", server.issuer)
    server.manage("grant", "alice", NAMESPACE, "--decode", "--reason", "end-to-end test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(tls.certificate))
        with serving(server):
            yield server


@pytest.fixture(scope="module")
def ui(background: BackgroundLoop, temporal: DevServer, codec: TrustingAnIssuer, ui_url: str) -> Iterator[str]:
    settings = CodecSettings(
        endpoint=codec.url,
        default_error_message=BANNER_MESSAGE,
        default_error_link=f"{codec.url}/login/?next={ui_url}/namespaces/{NAMESPACE}/workflows",
        include_credentials=False,
        pass_access_token=True,
    )
    with ui_proxy(background, upstream_url=temporal.ui_url, port=urlsplit(ui_url).port or 0, codec=settings) as url:
        yield url


@dataclass
class SignedIn:
    """Somebody's browser that holds the tokens of the Web UI's sign-in, at the workflow."""

    context: BrowserContext
    workflow: WorkflowPage
    codec_url: str
    answers: list[Response] = field(default_factory=list)

    def open(self) -> "SignedIn":
        self.answers.clear()
        self.workflow.open()
        return self

    def sees_the_payment(self) -> None:
        expect(self.workflow.input_and_result()).to_contain_text(PAYMENT.iban)
        expect(self.workflow.banner()).not_to_be_visible()
        assert {answer.status for answer in self.answers} == {200}

    def sees_the_banner(self) -> None:
        expect(self.workflow.banner()).to_be_visible()
        shown = "\n".join(frame.content() for frame in self.workflow.page.frames)
        assert PAYMENT.iban not in shown
        assert PAYMENT.payer not in shown
        assert {answer.status for answer in self.answers} == {401}
        # A token came and was refused; a request without any would be 401 as well.
        assert all('error="invalid_token"' in answer.headers["www-authenticate"] for answer in self.answers)

    def sent(self, header: str) -> set[str]:
        """Return what the browser has sent in this header with every call."""
        return {answer.request.all_headers().get(header, "") for answer in self.answers}

    def keep(self, answer: Response) -> None:
        if answer.url.startswith(f"{self.codec_url}/decode") and answer.request.method == "POST":
            self.answers.append(answer)


@pytest.fixture
def sign_in(
    browser: Browser, codec: TrustingAnIssuer, ui: str, payment: str, providers: Providers
) -> Iterator[Callable[..., SignedIn]]:
    """Return a function that signs alice in to the Web UI, in a browser that nobody has used before."""
    opened: list[BrowserContext] = []

    def sign_in(issuing: Callable[[BrowserContext, Providers], Tokens]) -> SignedIn:
        # The certificate is of the tests' own making; what Chromium would say to it is not what is tested here.
        context = browser.new_context(viewport=VIEWPORT, ignore_https_errors=True)
        opened.append(context)
        issuing(context, providers).put_into(context)
        page = context.new_page()
        visitor = SignedIn(context, WorkflowPage(page, ui, payment), codec.url)
        page.on("response", visitor.keep)
        return visitor

    yield sign_in
    for context in opened:
        context.close()


def in_authorization(context: BrowserContext, providers: Providers) -> Tokens:
    return tokens_of(context.request, providers.trusted, providers.web_ui, "alice", resource=AUDIENCE)


def in_extras(context: BrowserContext, providers: Providers) -> Tokens:
    return tokens_of(context.request, providers.trusted, providers.web_ui, "alice")


def for_another_server(context: BrowserContext, providers: Providers) -> Tokens:
    return tokens_of(context.request, providers.trusted, providers.web_ui, "alice", resource=ANOTHER)


def for_another_client(context: BrowserContext, providers: Providers) -> Tokens:
    return tokens_of(context.request, providers.trusted, providers.another_client, "alice")


def of_another_issuer(context: BrowserContext, providers: Providers) -> Tokens:
    return tokens_of(context.request, providers.other, providers.web_ui, "alice", resource=AUDIENCE)


def of_another_issuer_in_extras(context: BrowserContext, providers: Providers) -> Tokens:
    return tokens_of(context.request, providers.other, providers.web_ui, "alice")


def test_access_token_in_authorization_decodes(sign_in: Callable[..., SignedIn], screenshots: Screenshots) -> None:
    alice = sign_in(in_authorization).open()
    alice.sees_the_payment()
    (bearer,) = alice.sent("authorization")
    assert bearer.startswith("Bearer eyJ")
    assert alice.sent("cookie") == {""}
    screenshots.take(alice.workflow.page, "10-access-token")


def test_id_token_in_extras_decodes_beside_an_opaque_access_token(sign_in: Callable[..., SignedIn]) -> None:
    alice = sign_in(in_extras).open()
    alice.sees_the_payment()
    (bearer,) = alice.sent("authorization")
    assert bearer.startswith("Bearer ")
    assert "." not in bearer
    assert all(extras.startswith("eyJ") for extras in alice.sent("authorization-extras"))


@pytest.mark.parametrize(
    "issuing", [for_another_server, for_another_client, of_another_issuer, of_another_issuer_in_extras]
)
def test_token_that_is_not_meant_for_this_server_is_401_and_the_banner(
    sign_in: Callable[..., SignedIn],
    screenshots: Screenshots,
    issuing: Callable[[BrowserContext, Providers], Tokens],
) -> None:
    alice = sign_in(issuing).open()
    alice.sees_the_banner()
    screenshots.take(alice.workflow.page, f"10-token-{issuing.__name__}".replace("_", "-"))


@pytest.fixture
def clock(codec: TrustingAnIssuer) -> Iterator[Callable[[timedelta], None]]:
    yield codec.advance
    codec.advance(timedelta(0))


def test_expired_token_is_401_and_the_banner(
    sign_in: Callable[..., SignedIn], clock: Callable[[timedelta], None], screenshots: Screenshots
) -> None:
    visitors = [sign_in(in_authorization).open(), sign_in(in_extras).open()]
    for alice in visitors:
        alice.sees_the_payment()
    clock(LONGER_THAN_A_TOKEN)
    for alice in visitors:
        alice.open().sees_the_banner()
    screenshots.take(visitors[0].workflow.page, "10-token-expired")
