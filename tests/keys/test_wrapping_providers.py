"""What every KEK provider promises, tried on each: a ring file, AWS KMS (moto) and an HSM (SoftHSM 2)."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from keys.wrapping import cooldown
from keys.wrapping.base import Binding, KekDenied, KekUnavailable, UnwrapRefused
from keys.wrapping.ring import KekRing
from tests import canary
from tests.kms import Keks

BINDING = Binding("payments", "7-abcdefgh", 7)
DATA_KEY = canary.DATA_KEY
LONGEST_WAIT = 12.0  # seconds: two attempts at AWS KMS and a pause


@pytest.fixture
def ring(keks: Keks) -> KekRing:
    return keks.ring()


def test_wrapped_key_unwraps(ring):
    assert ring.unwrap(*ring.wrap(DATA_KEY, BINDING), BINDING) == DATA_KEY


def test_wrapped_key_unwraps_in_another_process_or_later(ring, keks):
    assert keks.ring().unwrap(*ring.wrap(DATA_KEY, BINDING), BINDING) == DATA_KEY


def test_kek_id_can_be_stored_and_is_the_same_at_every_start(ring, keks):
    kek_id, _ = ring.wrap(DATA_KEY, BINDING)
    assert kek_id == ring.primary_id() == keks.ring().primary_id()
    assert 0 < len(kek_id) <= 255


def test_key_id_of_any_characters_can_be_bound(ring):
    binding = Binding("payments.acct-1", 'schlüssel "7" / ключ ' + "x" * 230, 7)
    assert ring.unwrap(*ring.wrap(DATA_KEY, binding), binding) == DATA_KEY


def test_wrapping_twice_gives_different_bytes(ring):
    assert ring.wrap(DATA_KEY, BINDING)[1] != ring.wrap(DATA_KEY, BINDING)[1]


def test_wrapped_key_does_not_contain_the_key(ring):
    assert DATA_KEY[:8] not in ring.wrap(DATA_KEY, BINDING)[1]


def test_key_wrapped_for_another_namespace_does_not_unwrap(ring):
    wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(*wrapped, replace(BINDING, namespace="payroll"))


def test_key_wrapped_for_another_key_id_does_not_unwrap(ring):
    wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(*wrapped, replace(BINDING, key_id="7-zzzzzzzz"))


def test_key_wrapped_for_another_version_does_not_unwrap(ring):
    wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(*wrapped, replace(BINDING, number=8))


def test_key_relabelled_with_another_kek_does_not_unwrap(ring, keks):
    _, wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(keks.ring(keks.second).primary_id(), wrapped, BINDING)


def test_key_of_a_kek_that_is_not_configured_does_not_unwrap(ring, keks):
    wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(KekUnavailable, match="CODEC_KEK holds no KEK"):
        keks.ring(keks.second).unwrap(*wrapped, BINDING)


def test_provider_asked_for_the_kek_of_another_refuses(ring, keks):
    other = keks.ring(keks.second).wrap(DATA_KEY, BINDING)
    with pytest.raises(KekUnavailable):
        ring._providers[0].unwrap(*other, BINDING)


def test_kek_behind_the_first_only_unwraps(ring, keks):
    old = ring.wrap(DATA_KEY, BINDING)
    moved = keks.ring(keks.second, keks.first)
    assert moved.unwrap(*old, BINDING) == DATA_KEY
    assert moved.wrap(DATA_KEY, BINDING)[0] == moved.primary_id() != old[0]


@pytest.mark.parametrize("place", [0, 0.25, 0.5, 0.75, 1])
def test_flipped_bit_does_not_unwrap(ring, place):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    damaged = bytearray(wrapped)
    damaged[int(place * (len(wrapped) - 1))] ^= 1
    with pytest.raises((UnwrapRefused, KekDenied)):  # moto denies what AWS calls an invalid ciphertext
        ring.unwrap(kek_id, bytes(damaged), BINDING)


@pytest.mark.parametrize("part", [0, 0.01, 0.25, 0.5, 0.98])
def test_truncated_key_does_not_unwrap(ring, part):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(kek_id, wrapped[: int(part * len(wrapped))], BINDING)


@pytest.mark.parametrize("wrapped", [b"\x01", bytes(61), b"\x01" * 61, b"x" * 7000])
def test_bytes_that_are_no_wrapped_key_do_not_unwrap(ring, wrapped):
    with pytest.raises(UnwrapRefused):
        ring.unwrap(ring.primary_id(), wrapped, BINDING)


def test_damaged_key_does_not_keep_the_next_one_from_unwrapping(ring):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(kek_id, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), BINDING)
    assert ring.unwrap(kek_id, wrapped, BINDING) == DATA_KEY


def test_threads_may_ask_at_once(ring):
    def there_and_back(number: int) -> bool:
        binding = replace(BINDING, number=number)
        return ring.unwrap(*ring.wrap(DATA_KEY, binding), binding) == DATA_KEY

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(80)))


def test_provider_that_is_away_fails_in_time_then_at_once_and_is_asked_again_later(keks):
    now = [0.0]
    ring = keks.ring(keks.first, clock=lambda: now[0])
    with keks.outage():
        began = time.monotonic()
        with pytest.raises(KekUnavailable):
            ring.wrap(DATA_KEY, BINDING)
        failed = time.monotonic()
        with pytest.raises(KekUnavailable, match="asked again in 5 seconds"):
            ring.wrap(DATA_KEY, BINDING)
        refused = time.monotonic()
    now[0] += cooldown.SECONDS
    assert ring.unwrap(*ring.wrap(DATA_KEY, BINDING), BINDING) == DATA_KEY
    assert failed - began < LONGEST_WAIT
    assert refused - failed < 0.1


def test_refusals_and_failures_show_no_key(ring, keks):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused) as refused:
        ring.unwrap(kek_id, wrapped, replace(BINDING, number=8))
    canary.check("the refusal", str(refused.value))
