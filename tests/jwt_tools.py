"""An issuer of tokens: real keys, a real JWKS server in a thread, and a pen that signs whatever is asked for."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from tests import canary

URL = "https://issuer.example.com/"
AUDIENCE = "https://codec.example.com"
SUBJECT = "auth0|alice"
EMAIL = "alice@example.com"

Respond = Callable[[BaseHTTPRequestHandler], None]


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Return one of several RSA keys, made once per run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_pem() -> bytes:
    """Return the public key as attackers know it."""
    return rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None = "rsa", **more: Any) -> dict[str, Any]:
    """Return the public half of a key as it stands in a JWK Set. An extra member of None is left out."""
    families = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256", ed25519.Ed25519PrivateKey: "EdDSA"}
    name = next(name for family, name in families.items() if isinstance(key, family))
    entry = get_default_algorithms()[name].to_jwk(key.public_key(), as_dict=True)
    entry |= {"kid": kid, "use": "sig", "key_ops": None} | more
    return {name: value for name, value in entry.items() if value is not None}


def key_set() -> list[dict[str, Any]]:
    return [jwk(rsa_key(), "rsa"), jwk(ec_key(), "ec")]


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good access token, with changes; a claim of None is left out."""
    now = int(time.time())
    good = {"iss": URL, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def make_token(*, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a token like a good one, but for the changes to its header and claims."""
    return sign(json.dumps(claims(**changes)).encode(), key=key, header=header)


def sign(payload: bytes, *, key: Any = None, header: dict[str, Any] | None = None) -> str:
    """Sign any bytes by the algorithm that the header names, with our RSA key unless told otherwise."""
    full = {"alg": "RS256", "kid": "rsa", "typ": "JWT"} | (header or {})
    return sign_raw(json.dumps({name: value for name, value in full.items() if value is not None}), payload, key=key)


def sign_raw(header: str | bytes, payload: bytes, *, key: Any = None, algorithm: str | None = None) -> str:
    """Sign with `algorithm`, by default the one in the header. A key of bytes is a secret for HMAC-SHA256."""
    header = header.encode() if isinstance(header, str) else header
    signed = b".".join([encode(header), encode(payload)])
    signature = _signature(signed, rsa_key() if key is None else key, algorithm or json.loads(header)["alg"])
    return watched(b".".join([signed, encode(signature)]).decode())


def _signature(signed: bytes, key: Any, algorithm: str) -> bytes:
    if algorithm == "none":
        return b""
    if isinstance(key, bytes):
        return hmac.digest(key, signed, "sha256")
    signature: bytes = get_default_algorithms()[algorithm].sign(signed, key)
    return signature


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def watched(token: str) -> str:
    """From now on the token is a secret that must not show."""
    canary.watch_cookie(token)
    return token


class JwksServer:
    """Serves `keys` at `url`, and counts. `respond`, if set, answers instead."""

    def __init__(self) -> None:
        self.keys = key_set()
        self.respond: Respond | None = None
        self.requests = 0
        self.stopping = threading.Event()
        self._http = QuietServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/jwks.json"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be gone: connections are refused from now on, and those that hang are let go."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Accept and say nothing until the server stops."""
        self.stopping.wait(30)

    def send(self, body: bytes, status: int = 200, **headers: str) -> Respond:
        """Return an answer to be used as `respond`."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return respond

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805  `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                respond = server.respond or server.send(json.dumps({"keys": server.keys}).encode())
                respond(self)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Clients that give up are what these tests are about."""
