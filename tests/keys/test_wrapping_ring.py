"""CODEC_KEK as a list: how it is read, which KEK is asked, when none is, and what a missing package says."""

import base64
import sys
import threading
import time

import pytest

from keys.wrapping import kek, provider
from keys.wrapping.base import Binding, KekDenied, KekProvider, KekUnavailable, UnwrapRefused
from keys.wrapping.cooldown import SECONDS, Cooldown
from keys.wrapping.deadline import OneThread
from keys.wrapping.local import create_ring, local_kek
from keys.wrapping.ring import KekRing
from keys.wrapping.uris import kek_uris, split_options

BINDING = Binding("payments", "7-abcdefgh", 7)
DATA_KEY = bytes(range(32))


class Recorded:
    """A KekProvider that notes what it is asked and fails as it is told."""

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self.name, self.failure, self.asked = name, failure, 0

    def primary_id(self) -> str:
        return self.name

    def holds(self, kek_id: str) -> bool:
        self.asked += 1
        if isinstance(self.failure, KekUnavailable):
            raise self.failure
        return kek_id == self.name

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        self.asked += 1
        if self.failure:
            raise self.failure
        return self.name, data_key

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        return self.wrap(wrapped, binding)[1]


# The setting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "uris"),
    [
        ("local:/a", ["local:/a"]),
        ("local:/a, awskms:alias/b", ["local:/a", "awskms:alias/b"]),
        ("local:/a awskms:alias/b\n pkcs11:token=c ", ["local:/a", "awskms:alias/b", "pkcs11:token=c"]),
        ("local:/a,local:/b,", ["local:/a", "local:/b"]),
        ("local:/my files, and more/kek", ["local:/my files, and more/kek"]),
        ("awskms:a?endpoint=http://127.0.0.1:1&region=b", ["awskms:a?endpoint=http://127.0.0.1:1&region=b"]),
    ],
)
def test_setting_is_a_list_of_uris(setting, uris):
    assert kek_uris(setting) == uris


@pytest.mark.parametrize("setting", ["", " ", ",", " , "])
def test_empty_setting_is_refused(setting):
    with pytest.raises(KekUnavailable, match="CODEC_KEK is empty"):
        provider(setting)


@pytest.mark.parametrize("setting", ["local:/a vault:b", "vault:b", "canary-secret", "local:/a awskms:"])
def test_uri_of_no_provider_is_refused_and_not_shown(setting):
    with pytest.raises(KekUnavailable, match="not one of local, awskms, pkcs11") as refusal:
        provider(setting)
    assert "canary-secret" not in str(refusal.value)


@pytest.mark.parametrize("query", ["pin-value=canary-secret", "a=1&a=2", "a=", "a", "A=1"])
def test_unknown_double_or_empty_option_is_refused_and_not_shown(query):
    with pytest.raises(KekUnavailable, match="only a, b may stand here") as refusal:
        split_options(f"what?{query}", known=("a", "b"))
    assert "canary-secret" not in str(refusal.value)


def test_options_are_percent_decoded():
    assert split_options("w%20?a=%2Frun%3Fx", known=("a",)) == ("w%20", {"a": "/run?x"})


@pytest.mark.parametrize(
    ("scheme", "package", "requirements"),
    [("awskms", "boto3", "requirements-aws.txt"), ("pkcs11", "pkcs11", "requirements-pkcs11.txt")],
)
def test_missing_package_is_named_with_the_file_that_installs_it(monkeypatch, scheme, package, requirements):
    monkeypatch.setitem(sys.modules, package, None)
    for module in (scheme, "cryptoki"):
        monkeypatch.delitem(sys.modules, f"keys.wrapping.{module}", raising=False)
    with pytest.raises(KekUnavailable, match=f"needs {package}.* pip install -r {requirements}"):
        provider(f"{scheme}:missing-package")


def test_one_uri_has_one_cooldown_in_every_list(tmp_path):
    uri = f"local:{tmp_path / 'kek'}"
    assert provider(uri)._providers[0] is provider(f"{uri} local:/elsewhere")._providers[0]


def test_kek_of_this_installation_is_that_of_the_setting(settings):
    assert kek() is provider(settings.CODEC_KEK)


# The ring -------------------------------------------------------------------------------------------------------------


def test_first_wraps():
    assert KekRing([Recorded("new"), Recorded("old")]).wrap(DATA_KEY, BINDING) == ("new", DATA_KEY)


def test_kek_that_is_away_does_not_stop_another_from_unwrapping():
    ring = KekRing([Recorded("new", KekUnavailable("away")), Recorded("old")])
    assert ring.unwrap("old", DATA_KEY, BINDING) == DATA_KEY


def test_key_that_only_a_kek_that_is_away_may_hold_is_unavailable():
    ring = KekRing([Recorded("new", KekUnavailable("away")), Recorded("old")])
    with pytest.raises(KekUnavailable, match="away"):
        ring.unwrap("other", DATA_KEY, BINDING)


def test_kek_in_no_provider_is_unavailable():
    ring = KekRing([Recorded("new"), Recorded("old")])
    assert not ring.holds("other")
    with pytest.raises(KekUnavailable, match="CODEC_KEK holds no KEK other"):
        ring.unwrap("other", DATA_KEY, BINDING)


# The cooldown ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


def failing(failure: Exception, clock: list[float]) -> tuple[Cooldown, Recorded]:
    inner = Recorded("kek", failure)
    cooled = Cooldown(inner, lambda: clock[0])
    with pytest.raises(type(failure)):
        cooled.wrap(DATA_KEY, BINDING)
    return cooled, inner


def test_unavailable_kek_is_not_asked_again_at_once(clock):
    cooled, inner = failing(KekUnavailable("It is away."), clock)
    clock[0] += SECONDS - 0.01
    for call in (cooled.primary_id, lambda: cooled.holds("kek"), lambda: cooled.unwrap("kek", b"", BINDING)):
        with pytest.raises(KekUnavailable, match=r"It is away\. It is asked again in 5 seconds at most\."):
            call()
    assert inner.asked == 1


def test_unavailable_kek_is_asked_again_after_the_cooldown(clock):
    cooled, inner = failing(KekUnavailable("It is away."), clock)
    clock[0] += SECONDS
    inner.failure = None
    assert cooled.wrap(DATA_KEY, BINDING) == ("kek", DATA_KEY)


def test_second_failure_begins_another_cooldown(clock):
    cooled, inner = failing(KekUnavailable("It is away."), clock)
    for _ in range(3):
        clock[0] += SECONDS
        with pytest.raises(KekUnavailable):
            cooled.wrap(DATA_KEY, BINDING)
    assert inner.asked == 4


@pytest.mark.parametrize("failure", [UnwrapRefused("damaged"), KekDenied("not this namespace")])
def test_refusal_of_one_key_begins_no_cooldown(clock, failure):
    cooled, inner = failing(failure, clock)
    inner.failure = None
    assert cooled.unwrap("kek", DATA_KEY, BINDING) == DATA_KEY


# Calls that hang ------------------------------------------------------------------------------------------------------


def test_hung_call_costs_its_caller_the_deadline_and_the_next_one_too():
    thread, go_on = OneThread("test"), threading.Event()
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            thread.run(go_on.wait, seconds=0.1)
    assert time.monotonic() - began < 1
    go_on.set()
    assert thread.run(lambda: "answer", seconds=5) == "answer"


def test_call_given_up_before_it_began_is_never_made():
    thread, go_on, made = OneThread("test"), threading.Event(), []
    for call in (go_on.wait, lambda: made.append("given up")):
        with pytest.raises(TimeoutError):
            thread.run(call, seconds=0.05)
    go_on.set()
    assert thread.run(lambda: "answer", seconds=5) == "answer"
    assert made == []


def test_failure_in_the_thread_is_raised_in_the_caller():
    with pytest.raises(ZeroDivisionError):
        OneThread("test").run(lambda: 1 / 0, seconds=5)


# local:env ------------------------------------------------------------------------------------------------------------


def ring_line(name: str, first_byte: int) -> str:
    return f"{name} {base64.b64encode(bytes(range(first_byte, first_byte + 32))).decode()}"


@pytest.fixture
def environment_ring(settings):
    """Return a function that sets CODEC_KEK_RING and returns the KEKs of `local:env`."""

    def ring(lines: str | None) -> KekProvider:
        settings.CODEC_KEK_RING = lines
        return local_kek("env")

    return ring


@pytest.mark.parametrize("separator", ["\n", "\r\n", ",", " , "])
def test_ring_in_the_environment_has_a_primary_and_others(environment_ring, separator):
    old = environment_ring(ring_line("old", 10)).wrap(DATA_KEY, BINDING)
    ring = environment_ring(separator.join([ring_line("new", 50), ring_line("old", 10)]))
    assert ring.primary_id() == "new"
    assert ring.unwrap(*old, BINDING) == DATA_KEY


@pytest.mark.parametrize("lines", [None, "", "first not-base64", ring_line("a:b", 1), ring_line("x" * 65, 1)])
def test_environment_without_a_ring_is_unavailable(environment_ring, lines):
    with pytest.raises(KekUnavailable, match="CODEC_KEK_RING holds"):
        environment_ring(lines).primary_id()


def test_kek_that_is_the_secret_key_is_refused(environment_ring, settings):
    settings.SECRET_KEY = ring_line("kek", 7).split()[1]
    with pytest.raises(KekUnavailable, match="SECRET_KEY"):
        environment_ring(ring_line("kek", 7)).primary_id()


def test_key_may_move_from_a_file_to_the_environment_without_a_rewrap(environment_ring, tmp_path):
    create_ring(tmp_path / "kek")
    wrapped = provider(f"local:{tmp_path / 'kek'}").wrap(DATA_KEY, BINDING)
    assert environment_ring((tmp_path / "kek").read_text()).unwrap(*wrapped, BINDING) == DATA_KEY
