"""The keys of token issuers: fetched rarely, trusted narrowly, and kept when the issuer is away."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from codec.callers import jwks
from codec.callers.jwks import COOLDOWN, FRESH, STALE, JwksCache, KeySetRefused, KeyUnknown, fetch, read_key_set
from codec.errors import KeysUnavailable
from tests.jwt_tools import JwksServer, ec_key, ed25519_key, jwk, rsa_key


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server():
    server = JwksServer()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(server, clock):
    return JwksCache(server.url, clock=clock)


@pytest.fixture
def impatient(monkeypatch):
    """Three seconds are a long time for a test; a busy machine needs one to fetch what is there."""
    monkeypatch.setattr(jwks, "TIMEOUT", 1.0)


def outcome(cache: JwksCache, kid: str) -> str:
    try:
        return ",".join(cache.key(kid))
    except (KeyUnknown, KeysUnavailable) as error:
        return type(error).__name__


class TestFreshness:
    def test_key_comes_with_its_algorithms(self, cache):
        assert set(cache.key("ec")) == {"ES256"}
        assert set(cache.key("rsa")) == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

    def test_fresh_keys_are_not_fetched_again(self, cache, server, clock):
        cache.key("rsa")
        clock.now += FRESH
        cache.key("ec")
        assert server.requests == 1

    def test_older_keys_are(self, cache, server, clock):
        cache.key("rsa")
        clock.now += FRESH + 1
        cache.key("rsa")
        assert server.requests == 2

    def test_new_key_is_found_when_it_is_first_seen(self, cache, server, clock):
        cache.key("rsa")
        server.keys.append(jwk(rsa_key(1), "next"))
        clock.now += COOLDOWN
        assert "RS256" in cache.key("next")

    def test_new_key_waits_for_the_cooldown(self, cache, server, clock):
        cache.key("rsa")
        server.keys.append(jwk(rsa_key(1), "next"))
        clock.now += COOLDOWN - 1
        assert outcome(cache, "next") == "KeyUnknown"

    def test_removed_key_is_refused_after_the_refresh(self, cache, server, clock):
        cache.key("rsa")
        server.keys = [jwk(rsa_key(1), "next")]
        clock.now += FRESH + 1
        assert outcome(cache, "rsa") == "KeyUnknown"

    def test_key_replaced_under_its_id_is_the_new_one_after_the_refresh(self, cache, server, clock):
        before = cache.key("rsa")["RS256"].key
        server.keys = [jwk(rsa_key(1), "rsa")]
        clock.now += FRESH + 1
        assert cache.key("rsa")["RS256"].key != before


class TestFlood:
    def test_300_unknown_keys_cost_no_fetch(self, cache, server):
        cache.key("rsa")
        assert {outcome(cache, f"unknown-{number}") for number in range(300)} == {"KeyUnknown"}
        assert server.requests == 1

    def test_and_one_in_each_cooldown(self, cache, server, clock):
        cache.key("rsa")
        for number in range(300):
            clock.now += 0.5
            outcome(cache, f"unknown-{number}")
        assert server.requests == 1 + 150 // COOLDOWN

    def test_many_threads_make_one_fetch(self, cache, server):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: outcome(cache, "ec"), range(8)))
        assert answers == ["ES256"] * 8
        assert server.requests == 1


class TestOutage:
    def test_cold_start_is_unavailable_and_not_unknown(self, cache, server):
        server.stop()
        assert outcome(cache, "rsa") == "KeysUnavailable"

    def test_failure_is_not_repeated_before_the_cooldown(self, cache, server, clock):
        server.respond = server.send(b"", 503)
        for _ in range(20):
            assert outcome(cache, "rsa") == "KeysUnavailable"
        assert server.requests == 1
        clock.now += COOLDOWN
        server.respond = None
        cache.key("rsa")

    def test_known_keys_serve_for_a_day(self, cache, server, clock):
        cache.key("rsa")
        server.stop()
        clock.now += STALE
        assert "RS256" in cache.key("rsa")

    def test_and_no_longer(self, cache, server, clock):
        cache.key("rsa")
        server.stop()
        clock.now += STALE + 1
        assert outcome(cache, "rsa") == "KeysUnavailable"

    def test_unknown_key_is_unavailable_while_nobody_can_be_asked(self, cache, server, clock):
        cache.key("rsa")
        server.stop()
        clock.now += COOLDOWN
        assert outcome(cache, "next") == "KeysUnavailable"

    def test_failure_is_logged_without_what_came(self, cache, server, caplog):
        server.respond = server.send(b"<html>secret</html>")
        outcome(cache, "rsa")
        assert "could not be fetched: it is not JSON" in caplog.text
        assert "secret" not in caplog.text


@pytest.mark.usefixtures("impatient")
class TestSlowness:
    def test_eight_threads_wait_one_timeout_together(self, cache, server):
        server.respond = server.hang
        begun = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: outcome(cache, "rsa"), range(8)))
        assert answers == ["KeysUnavailable"] * 8
        assert time.monotonic() - begun < 2 * jwks.TIMEOUT
        assert server.requests == 1

    def test_after_that_nobody_waits(self, cache, server):
        server.respond = server.hang
        outcome(cache, "rsa")
        begun = time.monotonic()
        assert outcome(cache, "rsa") == "KeysUnavailable"
        assert time.monotonic() - begun < jwks.TIMEOUT / 2

    def test_only_the_one_who_asks_waits_while_known_keys_serve(self, cache, server, clock):
        cache.key("rsa")
        clock.now += FRESH + 1
        server.respond = server.hang
        waits = []

        def ask(_: int) -> None:
            begun = time.monotonic()
            cache.key("rsa")
            waits.append(time.monotonic() - begun)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
        assert sum(wait > jwks.TIMEOUT / 2 for wait in waits) == 1

    def test_dripping_answer_is_cut_off(self, cache, server):
        def drip(handler):
            handler.send_response(200)
            handler.end_headers()
            while not server.stopping.wait(0.05):
                handler.wfile.write(b" ")

        server.respond = drip
        begun = time.monotonic()
        assert outcome(cache, "rsa") == "KeysUnavailable"
        assert time.monotonic() - begun < 2 * jwks.TIMEOUT

    def test_late_answer_does_not_replace_a_later_one(self, cache, server, clock):
        release, body = threading.Event(), json.dumps({"keys": [jwk(rsa_key(1), "old")]}).encode()

        def late(handler):
            handler.send_response(200)
            handler.end_headers()
            while not release.wait(0.1):
                handler.wfile.write(b" ")  # so that no single read takes too long
            handler.wfile.write(body)

        server.respond = late
        assert outcome(cache, "old") == "KeysUnavailable"
        clock.now += COOLDOWN
        server.respond = None
        cache.key("rsa")
        release.set()
        for thread in cache._threads:
            thread.join()
        assert "RS256" in cache.key("rsa")
        assert outcome(cache, "old") == "KeyUnknown"

    def test_fetches_that_do_not_end_are_not_piled_up(self, cache, server, clock, monkeypatch):
        ended = threading.Event()

        def stuck(url):
            ended.wait(10)
            raise OSError

        monkeypatch.setattr(jwks, "fetch", stuck)
        monkeypatch.setattr(jwks, "TIMEOUT", 0.01)
        for _ in range(10):
            clock.now += COOLDOWN
            outcome(cache, "rsa")
        assert len(cache._threads) == 3
        ended.set()
        for thread in cache._threads:
            thread.join()


class TestFetch:
    @pytest.mark.parametrize("status", [201, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 429, 500, 503])
    def test_only_200_is_an_answer(self, server, status):
        body = b"" if status == 204 else json.dumps({"keys": server.keys}).encode()
        server.respond = server.send(body, status, Location=server.url)
        with pytest.raises(KeySetRefused, match=str(status)):
            fetch(server.url)
        assert server.requests == 1

    def test_redirect_is_not_followed(self, server):
        other = JwksServer()
        server.respond = server.send(b"", 302, Location=other.url)
        with pytest.raises(KeySetRefused):
            fetch(server.url)
        other.stop()
        assert other.requests == 0

    def test_largest_answer_is_taken(self, server):
        body = json.dumps({"keys": server.keys}).encode()
        server.respond = server.send(body + b" " * (jwks.MAX_BYTES - len(body)))
        assert len(fetch(server.url)) == jwks.MAX_BYTES

    def test_larger_one_is_not(self, server):
        server.respond = server.send(b" " * (jwks.MAX_BYTES + 1))
        with pytest.raises(KeySetRefused, match="too large"):
            fetch(server.url)

    @pytest.mark.parametrize(
        "url",
        [
            "http://issuer.example.com/jwks.json",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "ftp://localhost/",
            "file:///etc/passwd",
            "data:application/json,{}",
            "https:///jwks.json",
            "https://[::1",
            "jwks.json",
            "",
        ],
    )
    def test_anything_but_https_is_refused_unasked(self, url):
        with pytest.raises(KeySetRefused, match="not an https URL"):
            fetch(url)

    @pytest.mark.parametrize(
        "url",
        ["https://issuer.example.com/keys", "http://localhost:8080/keys", "http://127.0.0.1/keys", "http://[::1]/keys"],
    )
    def test_https_and_loopback_are_safe(self, url):
        assert jwks.is_safe_url(url)


GOOD = [jwk(rsa_key(), "rsa")]
BAD_SETS = {
    "empty": b"",
    "no JSON": b"<html>",
    "not UTF-8": b'{"keys": "\xff"}',
    "deep": b"[" * 100_000,
    "a list": json.dumps(GOOD).encode(),
    "no keys": b"{}",
    "keys of another type": b'{"keys": {"rsa": 1}}',
    "empty set": b'{"keys": []}',
    "nothing but junk": b'{"keys": [1, null, "x", [], {}]}',
    "same id twice": json.dumps({"keys": [jwk(rsa_key(), "rsa"), jwk(rsa_key(1), "rsa")]}).encode(),
    "same id in two types": json.dumps({"keys": [jwk(rsa_key(), "a"), jwk(ec_key(), "a")]}).encode(),
    "symmetric key": json.dumps({"keys": [{"kty": "oct", "kid": "rsa", "k": "c2VjcmV0"}]}).encode(),
}


@pytest.mark.parametrize("body", BAD_SETS.values(), ids=BAD_SETS)
def test_bad_set_is_refused(body):
    with pytest.raises(KeySetRefused):
        read_key_set(body)


@pytest.mark.parametrize("body", BAD_SETS.values(), ids=BAD_SETS)
def test_bad_set_never_replaces_a_good_one(cache, server, clock, body):
    cache.key("rsa")
    server.respond = server.send(body)
    clock.now += FRESH + 1
    assert "RS256" in cache.key("rsa")
    assert server.requests == 2


UNUSABLE = {
    "no id": jwk(rsa_key(1), None),
    "empty id": jwk(rsa_key(1), ""),
    "id of another type": jwk(rsa_key(1), kid=7),
    "long id": jwk(rsa_key(1), "k" * 257),
    "symmetric": {"kty": "oct", "kid": "other", "k": "c2VjcmV0", "alg": "HS256"},
    "for encryption": jwk(rsa_key(1), "other", use="enc"),
    "operations without verify": jwk(rsa_key(1), "other", key_ops=["encrypt"]),
    "operations of another type": jwk(rsa_key(1), "other", key_ops="verify"),
    "algorithm for encryption": jwk(rsa_key(1), "other", alg="RSA-OAEP"),
    "algorithm none": jwk(rsa_key(1), "other", alg="none"),
    "symmetric algorithm": jwk(rsa_key(1), "other", alg="HS256"),
    "algorithm of another type": jwk(rsa_key(1), "other", alg=["RS256"]),
    "algorithm of another family": jwk(rsa_key(1), "other", alg="ES256"),
    "algorithm of another curve": jwk(ec_key(), "other", alg="ES384"),
    "private": jwk(rsa_key(1), "other", d="AQAB"),
    "short RSA": jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "other"),
    "curve that nobody uses": jwk(ec_key(ec.SECP256K1), "other"),
    "point off the curve": jwk(ec_key(), "other") | {"x": "AAAA"},
    "no modulus": jwk(rsa_key(1), "other", n=None),
    "modulus of another type": jwk(rsa_key(1), "other") | {"n": 7},
    "type of another type": jwk(rsa_key(1), "other") | {"kty": ["RSA"]},
    "curve of another type": jwk(ec_key(), "other") | {"crv": {}},
    "unknown type": jwk(rsa_key(1), "other") | {"kty": "XYZ"},
}


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_key_is_left_out(entry):
    assert set(read_key_set(json.dumps({"keys": [entry, *GOOD]}).encode())) == {"rsa"}


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (jwk(rsa_key(), alg="RS256"), {"RS256"}),
        (jwk(rsa_key(), alg="PS512"), {"PS512"}),
        (jwk(rsa_key(), use=None), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (jwk(rsa_key(), key_ops=["verify"], alg="RS384"), {"RS384"}),
        (jwk(ec_key()), {"ES256"}),
        (jwk(ec_key(ec.SECP384R1)), {"ES384"}),
        (jwk(ec_key(ec.SECP521R1)), {"ES512"}),
        (jwk(ed25519_key()), {"EdDSA"}),
    ],
)
def test_key_is_usable_for_what_its_type_and_alg_allow(entry, algorithms):
    keys = read_key_set(json.dumps({"keys": [entry]}).encode())
    assert set(keys["rsa"]) == algorithms
    assert all(key.algorithm_name == name for name, key in keys["rsa"].items())


def test_one_cache_per_url(server):
    assert jwks.cache_of(server.url) is jwks.cache_of(server.url)
    assert jwks.cache_of(server.url) is not jwks.cache_of(f"{server.url}?other")
