"""What an API token looks like."""

import re
import string
import zlib

import pytest

from codec.token_format import PREFIX, REGEX, digest, is_well_formed, new_token

TOKEN = PREFIX + "8Xn0bW4cGv6QkT1yZ3mR5pJ7dL9fH2sA4uE6iO8wB0K" + "4Z8m40"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def test_new_token_is_well_formed():
    assert is_well_formed(new_token().reveal)


def test_new_token_has_the_documented_shape():
    assert re.fullmatch(r"tcs_[0-9A-Za-z]{49}", new_token().reveal)


def test_scanner_finds_a_token_in_a_file():
    token = new_token().reveal
    assert re.findall(REGEX, f'codec-auth: "Bearer {token}"\nother: x') == [token]


def test_scanner_finds_nothing_longer():
    assert re.findall(REGEX, f"{TOKEN}x") == []


def test_tokens_differ_in_256_bits():
    values = {number(new_token().reveal[4:47]) for _ in range(200)}
    assert len(values) == 200
    assert max(values) < 2**256
    assert max(values) > 2**250


def test_smallest_and_largest_number_have_the_same_length(monkeypatch):
    lengths = set()
    for bits in (0, 2**256 - 1):
        monkeypatch.setattr("secrets.randbits", lambda _, bits=bits: bits)
        lengths.add(len(new_token().reveal))
    assert lengths == {53}


def test_checksum_is_crc32_of_all_before_it():
    assert number(TOKEN[47:]) == zlib.crc32(TOKEN[:47].encode())
    assert is_well_formed(TOKEN)


@pytest.mark.parametrize("position", range(53))
def test_one_wrong_character_is_noticed(position):
    wrong = "a" if TOKEN[position] != "a" else "b"
    assert not is_well_formed(TOKEN[:position] + wrong + TOKEN[position + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", PREFIX, TOKEN[:-1], f"{TOKEN}a", f"{TOKEN}\n", f" {TOKEN}", TOKEN.upper(), TOKEN[4:], "tcs_" + "é" * 49],
)
def test_what_is_incomplete_or_something_else_is_not_well_formed(text):
    assert not is_well_formed(text)


def test_digest_is_sha256_of_the_whole_token():
    assert digest("tcs_x") == "fbdc56cff55e1772661693ee8191e68e5d2c8c96b3ad3d5c0ec7ca2881d858cd"


def test_printed_token_object_does_not_show_the_token():
    token = new_token()
    assert token.reveal not in f"{token} {token!r} {[token]}"


def number(text: str) -> int:
    value = 0
    for digit in text:
        value = value * 62 + ALPHABET.index(digit)
    return value
