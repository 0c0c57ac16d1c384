"""An OpenID provider for tests: a real HTTP server in a thread that can be made to err in each of its answers."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from django.test import Client

from tests import canary
from tests.jwt_tools import QuietServer, jwk, rsa_key, sign

CLIENT_ID = "codec-server"
CLIENT_SECRET = canary.PASSWORD  # so that it is watched for, wherever it could show
SUBJECT = "8f2c-alice"
EMAIL = "alice@example.com"
ACCESS_TOKEN = "access-token-of-alice"


class FakeProvider:
    """Everything that it says is an attribute. `fail` maps a path to the status that it answers with instead."""

    def __init__(self) -> None:
        self._http = QuietServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._http.server_port}"
        self.document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
        }
        self.keys = [jwk(rsa_key(), "rsa")]
        self.claims: dict[str, Any] = {}  # changes to the ID token; None leaves a claim out
        self.header: dict[str, Any] = {}
        self.key: Any = None
        self.userinfo: dict[str, Any] = {"sub": SUBJECT, "email": EMAIL, "email_verified": True}
        self.fail: dict[str, int] = {}
        self.requests: list[str] = []
        self.token_request: dict[str, str] = {}
        self.token_authorization = ""
        self.asked: dict[str, str] = {}  # the query with which the browser came
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def visit(self, url: str) -> dict[str, str]:
        """Let a browser come with an authorization request; return what it is sent back with."""
        assert url.startswith(f"{self.issuer}/auth?")
        self.asked = dict(parse_qsl(urlsplit(url).query))
        return {"code": "code-of-alice", "state": self.asked["state"]}

    def id_token(self) -> str:
        now = int(time.time())
        good = {"iss": self.issuer, "aud": CLIENT_ID, "sub": SUBJECT, "nonce": self.asked.get("nonce")}
        claims = good | {"iat": now, "exp": now + 300} | self.claims
        body = json.dumps({name: value for name, value in claims.items() if value is not None})
        return sign(body.encode(), key=self.key, header=self.header)

    def verifier_fits(self) -> bool:
        """True if the code was redeemed by whoever asked for it (RFC 7636, section 4.6)."""
        digest = hashlib.sha256(self.token_request["code_verifier"].encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.asked["code_challenge"]

    def _answer(self, path: str) -> Any:
        if path == "/token":
            return {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": self.id_token()}
        return {
            "/.well-known/openid-configuration": self.document,
            "/jwks": {"keys": self.keys},
            "/userinfo": self.userinfo,
        }[path]

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805  `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests.append(self.path)
                status = provider.fail.get(self.path, 200)
                body = json.dumps(provider._answer(self.path) if status == 200 else {"error": "no"}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.token_request = {name: values[0] for name, values in parse_qs(form).items()}
                provider.token_authorization = self.headers.get("Authorization", "")
                self.do_GET()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler


def begin(client: Client, provider: FakeProvider, **query: str) -> dict[str, str]:
    """Follow the sign-in button to the provider; return what it sends the browser back with."""
    answer = client.get("/login/sso/", query)
    assert answer.status_code == 302, answer.content
    return provider.visit(answer["Location"])


def sign_in(client: Client, provider: FakeProvider, **query: str) -> Any:
    """Sign in at the provider; return the answer to the callback."""
    return client.get("/login/sso/callback/", begin(client, provider, **query))
