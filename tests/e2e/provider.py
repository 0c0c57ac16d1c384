"""A real OpenID provider beside the other real parts: npm's oidc-provider, run by Node.js."""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from playwright.sync_api import Page, expect

from demo.codec_server import Installation
from demo.processes import free_port, running
from tests.e2e import npm

FOLDER = Path(__file__).resolve().parent / "openid_provider"
OLDEST_NODE = 20
CLIENT_ID = "codec-server"
NO_NODE = f"NO NODE.JS FOUND: single sign-on was not tested. Install nodejs ({OLDEST_NODE} or newer) and npm."


@dataclass(frozen=True, slots=True)
class Account:
    """What the provider knows of a person. Their name there is their subject."""

    email: str
    email_verified: bool = True
    groups: tuple[str, ...] = ()
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15), repr=False)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """An application that the provider signs people in for."""

    id: str
    redirect_uri: str
    post_logout_redirect_uri: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


@dataclass(frozen=True, slots=True)
class OpenIDProvider:
    issuer: str
    accounts: Mapping[str, Account]

    def fill_in(self, page: Page, name: str) -> None:
        """Send the provider's sign-in form."""
        expect(page).to_have_url(re.compile(f"^{self.issuer}/sign-in/"))
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(self.accounts[name].password)
        page.get_by_role("button", name="Sign in").click()


@dataclass(frozen=True, slots=True)
class WithSingleSignOn(Installation):
    """An installation whose people sign in at a provider, and by no password here."""

    issuer: str = field(kw_only=True)
    client_secret: str = field(kw_only=True, repr=False)

    def environment(self) -> Mapping[str, str]:
        return {
            **super(WithSingleSignOn, self).environment(),
            "CODEC_LOCAL_PASSWORDS": "0",
            "CODEC_OIDC_ISSUER": self.issuer,
            "CODEC_OIDC_NAME": "Example SSO",
            "CODEC_OIDC_CLIENT_ID": CLIENT_ID,
            "CODEC_OIDC_CLIENT_SECRET": self.client_secret,
            "CODEC_OIDC_SCOPES": "openid email groups",
        }


def codec_server_at(url: str) -> RelyingParty:
    """Return what docs/single-sign-on.md has an operator register."""
    return RelyingParty(CLIENT_ID, f"{url}/login/sso/callback/", f"{url}/login/")


@contextmanager
def openid_provider(*clients: RelyingParty, accounts: Mapping[str, Account], log: Path) -> Iterator[OpenIDProvider]:
    """Run a provider for these clients until the block ends."""
    command = [_node(), str(FOLDER / "server.mjs")]
    npm.install(FOLDER, reason=NO_NODE)
    port = free_port()
    provider = OpenIDProvider(f"http://localhost:{port}", accounts)
    people = {name: asdict(account) for name, account in accounts.items()}
    configuration = json.dumps({"port": port, "clients": [asdict(client) for client in clients], "people": people})
    ready_url = f"{provider.issuer}/.well-known/openid-configuration"
    with running(command, log=log, ready_url=ready_url, env=os.environ | {"CONFIGURATION": configuration}):
        yield provider


def _node() -> str:
    """Return the path of Node.js, or skip."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None or _version(node) < OLDEST_NODE:
        npm.do_without(NO_NODE)
    return node


def _version(node: str) -> int:
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return int(printed.removeprefix("v").partition(".")[0])
