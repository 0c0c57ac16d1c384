"""Wrapping with a local ring: what comes back, what does not, and which files are refused."""

import base64
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.names import length_prefixed
from keys.wrapping import provider
from keys.wrapping.base import Binding, KekUnavailable, UnwrapRefused
from keys.wrapping.local import LocalKek, create_ring

BINDING = Binding("payments", "7-abcdefgh", 7)
DATA_KEY = bytes(range(32))
KEK, OTHER_KEK = bytes(range(100, 132)), bytes(range(200, 232))


def line(kek_id: str, key: bytes) -> str:
    return f"{kek_id} {base64.b64encode(key).decode()}\n"


@pytest.fixture
def write_ring(tmp_path):
    """Return a function that writes a ring file (mode 0600 by default) and opens it."""

    def write(content: str | bytes, mode: int = 0o600) -> LocalKek:
        path = tmp_path / "kek"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return LocalKek(str(path))

    return write


@pytest.fixture
def ring(write_ring) -> LocalKek:
    return write_ring(line("first", KEK))


# What a wrapped key is ------------------------------------------------------------------------------------------------


def test_wrapped_key_unwraps(ring):
    assert ring.unwrap(*ring.wrap(DATA_KEY, BINDING), BINDING) == DATA_KEY


def test_wrapped_key_has_the_documented_layout(ring):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    associated = b"codec-kek-v1" + b"".join(map(length_prefixed, ("payments", "7-abcdefgh", "7", "first")))
    assert (kek_id, len(wrapped), wrapped[:1]) == ("first", 61, b"\x01")
    assert AESGCM(KEK).decrypt(wrapped[1:13], wrapped[13:], associated) == DATA_KEY


def test_wrapping_twice_gives_different_bytes(ring):
    assert ring.wrap(DATA_KEY, BINDING) != ring.wrap(DATA_KEY, BINDING)


def test_wrapped_key_does_not_contain_the_key(ring):
    assert DATA_KEY[:8] not in ring.wrap(DATA_KEY, BINDING)[1]


# What does not unwrap -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moved", [{"namespace": "payroll"}, {"key_id": "7-zzzzzzzz"}, {"number": 8}], ids=lambda moved: next(iter(moved))
)
def test_key_wrapped_for_another_row_does_not_unwrap(ring, moved):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap(kek_id, wrapped, replace(BINDING, **moved))


def test_wrapped_key_relabelled_with_another_kek_id_does_not_unwrap(write_ring):
    ring = write_ring(line("first", KEK) + line("second", KEK))
    _, wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        ring.unwrap("second", wrapped, BINDING)


def test_kek_of_the_same_id_with_other_bytes_does_not_unwrap(ring, write_ring):
    wrapped = ring.wrap(DATA_KEY, BINDING)
    with pytest.raises(UnwrapRefused):
        write_ring(line("first", OTHER_KEK)).unwrap(*wrapped, BINDING)


def test_kek_that_is_not_in_the_ring_is_unavailable(ring):
    with pytest.raises(KekUnavailable, match="no KEK third"):
        ring.unwrap("third", ring.wrap(DATA_KEY, BINDING)[1], BINDING)


@pytest.mark.parametrize("position", [1, 13, 44, 60])
def test_flipped_bit_does_not_unwrap(ring, position):
    kek_id, wrapped = ring.wrap(DATA_KEY, BINDING)
    damaged = wrapped[:position] + bytes([wrapped[position] ^ 1]) + wrapped[position + 1 :]
    with pytest.raises(UnwrapRefused):
        ring.unwrap(kek_id, damaged, BINDING)


@pytest.mark.parametrize(
    "wrapped", [b"", b"\x01", b"\x01" * 13, b"\x01" * 28, b"\x01" * 61, b"\x02" * 61, b"\x00" * 61]
)
def test_bytes_that_are_no_wrapped_key_do_not_unwrap(ring, wrapped):
    with pytest.raises(UnwrapRefused):
        ring.unwrap("first", wrapped, BINDING)


# Associated data ------------------------------------------------------------------------------------------------------


def test_length_prefix_is_four_bytes_big_endian_before_utf8():
    assert length_prefixed("aé") == b"\x00\x00\x00\x03a\xc3\xa9"


def test_moving_a_letter_between_two_fields_changes_the_associated_data():
    assert Binding("a", "bc", 1).associated_data("k") != Binding("ab", "c", 1).associated_data("k")


def test_moving_a_digit_between_number_and_kek_id_changes_the_associated_data():
    assert Binding("a", "b", 1).associated_data("2k") != Binding("a", "b", 12).associated_data("k")


def test_associated_data_is_never_empty():
    assert Binding("", "", 0).associated_data("").startswith(b"codec-kek-v1")


# The ring file --------------------------------------------------------------------------------------------------------


def test_first_line_wraps_and_every_line_unwraps(write_ring):
    old = write_ring(line("first", KEK)).wrap(DATA_KEY, BINDING)
    ring = write_ring(line("second", OTHER_KEK) + "\n" + line("first", KEK))
    assert ring.primary_id() == ring.wrap(DATA_KEY, BINDING)[0] == "second"
    assert ring.unwrap(*old, BINDING) == DATA_KEY


REFUSED_RINGS = {
    "empty": "",
    "blank lines": "\n\n",
    "no id": line("", KEK),
    "id alone": "first\n",
    "key alone": base64.b64encode(KEK).decode(),
    "garbage": "first not-base64!",
    "31 bytes": line("first", KEK[:31]),
    "33 bytes": line("first", KEK + b"x"),
    "all zero": line("first", bytes(32)),
    "low entropy": line("first", b"abcdefg" * 4 + b"abcd"),
    "binary": bytes(range(128, 256)),
    "second line bad": line("first", KEK) + "second short\n",
    "id twice": line("first", KEK) + line("first", OTHER_KEK),
}


@pytest.mark.parametrize("content", REFUSED_RINGS.values(), ids=REFUSED_RINGS)
def test_file_that_is_not_a_ring_is_refused(write_ring, content):
    with pytest.raises(KekUnavailable, match="The KEK file"):
        write_ring(content).wrap(DATA_KEY, BINDING)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622])
def test_file_that_others_can_reach_is_refused(write_ring, mode):
    with pytest.raises(KekUnavailable, match="chmod 600"):
        write_ring(line("first", KEK), mode).primary_id()


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_file_of_its_owner_alone_is_read(write_ring, mode):
    assert write_ring(line("first", KEK), mode).primary_id() == "first"


def test_missing_file_is_unavailable(tmp_path):
    with pytest.raises(KekUnavailable, match="FileNotFoundError"):
        LocalKek(str(tmp_path / "kek")).primary_id()


def test_folder_in_its_place_is_unavailable(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(KekUnavailable, match="IsADirectoryError"):
        LocalKek(str(tmp_path)).primary_id()


def test_refusal_shows_no_byte_of_the_file(write_ring):
    with pytest.raises(KekUnavailable) as refusal:
        write_ring(line("first", KEK[:31])).primary_id()
    assert base64.b64encode(KEK[:31]).decode()[:8] not in str(refusal.value)


def test_repaired_file_is_read_without_a_restart(write_ring, tmp_path):
    ring = write_ring("")
    with pytest.raises(KekUnavailable):
        ring.primary_id()
    (tmp_path / "kek").write_text(line("first", KEK))
    assert ring.primary_id() == "first"


# A new ring -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def generous_umask():
    previous = os.umask(0)
    yield
    os.umask(previous)


def test_new_ring_is_readable_by_its_owner_only(tmp_path, generous_umask):
    create_ring(tmp_path / "var" / "kek")
    assert stat.S_IMODE((tmp_path / "var" / "kek").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_new_rings_differ(tmp_path):
    create_ring(tmp_path / "a")
    create_ring(tmp_path / "b")
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_ring_is_never_overwritten(tmp_path):
    create_ring(tmp_path / "kek")
    before = (tmp_path / "kek").read_text()
    with pytest.raises(FileExistsError):
        create_ring(tmp_path / "kek")
    assert (tmp_path / "kek").read_text() == before


# Providers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["", "local", "local:", "vault:secret", "/var/kek", "LOCAL:/var/kek"])
def test_setting_that_names_no_provider_is_refused(uri):
    with pytest.raises(KekUnavailable, match="CODEC_KEK"):
        provider(uri).primary_id()


def test_local_setting_names_a_ring_file(tmp_path: Path):
    create_ring(tmp_path / "kek")
    assert provider(f"local:{tmp_path / 'kek'}").primary_id().startswith("local-")
