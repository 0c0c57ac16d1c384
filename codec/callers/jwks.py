"""The public keys of token issuers, fetched from their JWKS URLs (RFC 7517) and kept for a while.

A key set is fresh for 300 seconds. When it cannot be fetched again it serves for 24 hours. Whatever happens, an issuer
is asked once in 30 seconds at most, so that neither a flood of unknown key ids nor an outage reaches it. A request
waits for a fetch for 3 seconds at most, and only if it must: those that hold a known key, while somebody else's fetch
is under way, go on.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt

from codec.callers.issuers import ASYMMETRIC
from codec.errors import KeysUnavailable

logger = logging.getLogger(__name__)

FRESH = 300.0
STALE = 24 * 3600.0
COOLDOWN = 30.0
TIMEOUT = 3.0
MAX_BYTES = 256 * 1024
_MAX_FLIGHTS = 3
_MAX_KEY_ID = 256
_MIN_RSA_BITS = 2048
_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}
_ALGORITHMS = {
    ("RSA", None): tuple(name for name in ASYMMETRIC if name.startswith(("RS", "PS"))),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}

Keys = dict[str, dict[str, jwt.PyJWK]]  # key id -> algorithm -> key


class KeyUnknown(Exception):
    """The issuer has no such key."""


class KeySetRefused(Exception):
    """What came from the JWKS URL is no usable key set. The message says why, without any of it."""


class _Flight:
    """One fetch, under way or over."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.done = threading.Event()
        self.succeeded = False


class JwksCache:
    """The keys at one JWKS URL."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[Keys, float] = ({}, -math.inf)  # and when they came
        self._flight: _Flight | None = None
        self._threads: list[threading.Thread] = []

    def key(self, key_id: str) -> dict[str, jwt.PyJWK]:
        """Return the key of this id, one PyJWK for each algorithm it may be used with.

        Raises KeyUnknown, and KeysUnavailable when the issuer could not be asked whether there is such a key.
        """
        if not self._knows(key_id, FRESH):
            self._refresh(key_id)
        keys, came_at = self._held
        if self._clock() - came_at > STALE:
            raise KeysUnavailable
        if key_id in keys:
            return keys[key_id]
        if self._flight is None or not self._flight.succeeded:
            raise KeysUnavailable
        raise KeyUnknown

    def _knows(self, key_id: str, age: float) -> bool:
        keys, came_at = self._held
        return key_id in keys and self._clock() - came_at <= age

    def _refresh(self, key_id: str) -> None:
        """Start a fetch, or join one, and wait for it unless it is another's and a key for the meantime is at hand."""
        with self._lock:
            started = self._may_start()
            if started:
                self._start()
            flight = self._flight
        if flight is not None and (started or not self._knows(key_id, STALE)):
            flight.done.wait(flight.started + TIMEOUT - self._clock())

    def _may_start(self) -> bool:
        """One fetch in COOLDOWN seconds; and no more threads when those begun before do not come to an end."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        cooling = self._flight is not None and self._clock() - self._flight.started < COOLDOWN
        return not cooling and len(self._threads) < _MAX_FLIGHTS

    def _start(self) -> None:
        self._flight = _Flight(self._clock())
        thread = threading.Thread(target=self._fly, args=(self._flight,), name="jwks", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _fly(self, flight: _Flight) -> None:
        try:
            keys = read_key_set(fetch(self._url))
        except (KeySetRefused, OSError, HTTPException) as error:
            why = str(error) if isinstance(error, KeySetRefused) else type(error).__name__
            logger.warning("The keys at %s could not be fetched: %s", self._url, why)
        else:
            self._take(keys, flight)
        finally:
            flight.done.set()

    def _take(self, keys: Keys, flight: _Flight) -> None:
        with self._lock:
            if flight is self._flight:  # one that comes home after a later one brings old keys
                self._held, flight.succeeded = (keys, self._clock()), True


_caches: dict[str, JwksCache] = {}
_lock = threading.Lock()


def cache_of(url: str) -> JwksCache:
    """Return this process's cache of the keys at `url`."""
    with _lock:
        return _caches.setdefault(url, JwksCache(url))


def is_safe_url(url: str) -> bool:
    """True for https, and for plain http that does not leave the machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    schemes = {"http", "https"} if parts.hostname in _LOOPBACK_HOSTS else {"https"}
    return bool(parts.hostname) and parts.scheme in schemes


class _NoRedirect(HTTPRedirectHandler):
    """Keys come from the configured URL and from nowhere else."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def fetch(url: str) -> bytes:
    """Return what stands at `url`. Raises KeySetRefused, OSError, http.client.HTTPException."""
    if not is_safe_url(url):
        raise KeySetRefused("it is not an https URL")
    deadline = time.monotonic() + TIMEOUT
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "temporal-codec-server"})  # noqa: S310
    try:
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as response:
            return _read(response, deadline)
    except HTTPError as error:
        error.close()
        raise KeySetRefused(f"the answer was {error.code}") from error


def _read(response: HTTPResponse, deadline: float) -> bytes:
    if response.status != 200:
        raise KeySetRefused(f"the answer was {response.status}")
    body = b""
    while chunk := response.read1(MAX_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise KeySetRefused("it is too large")
        if time.monotonic() > deadline:
            raise KeySetRefused("it came too slowly")
    return body


def read_key_set(body: bytes) -> Keys:
    """Return the keys in a JWK Set that can verify signatures. Raises KeySetRefused.

    Left out: keys without an id, symmetric ones, private ones (they are public now), those for encryption, weak ones.
    A set with no key left is refused, and so is one with two keys of the same id.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeySetRefused("it is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeySetRefused("it is not a JWK Set")
    keys: Keys = {}
    for entry in entries:
        if isinstance(entry, dict) and _may_verify(entry) and (usable := _read_key(entry)):
            if entry["kid"] in keys:
                raise KeySetRefused("two keys have the same id")
            keys[entry["kid"]] = usable
    if not keys:
        raise KeySetRefused("it has no usable key")
    return keys


def _may_verify(entry: dict[str, Any]) -> bool:
    key_id, operations = entry.get("kid"), entry.get("key_ops", ["verify"])
    return (
        isinstance(key_id, str)
        and 0 < len(key_id) <= _MAX_KEY_ID
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in entry
    )


def _read_key(entry: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """Return the key for each algorithm that its type, its curve and its own `alg` allow."""
    kty, curve, declared = entry.get("kty"), entry.get("crv"), entry.get("alg")
    if not isinstance(kty, str) or not isinstance(curve, str | None):
        return {}
    algorithms = [name for name in _ALGORITHMS.get((kty, curve), ()) if declared is None or declared == name]
    try:
        keys = {name: jwt.PyJWK(entry, name) for name in algorithms}
    except jwt.PyJWTError:
        return {}
    return {name: key for name, key in keys.items() if not _is_weak(key)}


def _is_weak(key: jwt.PyJWK) -> bool:
    return key.key_type == "RSA" and key.key.key_size < _MIN_RSA_BITS
