"""What the Web UI's own sign-in at a provider leaves in its browser: an access token and an ID token.

The dev server's Web UI has no sign-in, so a script goes through the provider's, as the UI's server would (temporalio/ui
server/server/auth/auth.go), and puts what it gets where the UI's pages look for it (src/lib/stores/auth-user.ts).
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import APIRequestContext, BrowserContext

from tests.e2e.provider import OpenIDProvider, RelyingParty


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str = field(repr=False)
    id: str = field(repr=False)

    def put_into(self, context: BrowserContext) -> None:
        """Let every page of the Web UI in this browser find the tokens of its sign-in."""
        user = json.dumps({"accessToken": self.access, "idToken": self.id, "name": "alice", "email": ""})
        context.add_init_script(f"localStorage.setItem('AuthUser', {json.dumps(user)})")


def web_ui_at(url: str, *, client_id: str) -> RelyingParty:
    return RelyingParty(client_id, f"{url}/auth/sso/callback", url)


def tokens_of(
    browser: APIRequestContext, provider: OpenIDProvider, client: RelyingParty, name: str, *, resource: str = ""
) -> Tokens:
    """Sign `name` in to `client`. The access token is a JWT for `resource` (RFC 8707), or opaque without one."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"resource": resource} if resource else {}
    code = _authorize(browser, provider, client, name, {"code_challenge": challenge, **asked})
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, **asked}
    basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
    answer = browser.post(
        f"{provider.issuer}/token",
        form=form | {"redirect_uri": client.redirect_uri},
        headers={"Authorization": f"Basic {basic}"},
    )
    assert answer.ok, answer.text()
    return Tokens(answer.json()["access_token"], answer.json()["id_token"])


def _authorize(
    browser: APIRequestContext, provider: OpenIDProvider, client: RelyingParty, name: str, asked: dict[str, str]
) -> str:
    """Return the code that the provider sends to the client once `name` has signed in."""
    query = {
        "client_id": client.id,
        "redirect_uri": client.redirect_uri,
        "response_type": "code",
        "scope": "openid email",
        "nonce": secrets.token_urlsafe(16),
        "code_challenge_method": "S256",
    }
    answer = browser.get(f"{provider.issuer}/auth?{urlencode(query | asked)}")
    if answer.url.startswith(f"{provider.issuer}/sign-in/"):
        answer = browser.post(answer.url, form={"name": name, "password": provider.accounts[name].password})
    assert answer.url.startswith(client.redirect_uri), answer.url
    return parse_qs(urlsplit(answer.url).query)["code"][0]
