import hashlib

import pytest

from keys.names import is_namespace_name, key_id_digest


@pytest.mark.parametrize("name", ["a", "7", "default", "payments.acct1", "A_b-c.d", "x" * 255])
def test_name_as_temporal_has_them_is_accepted(name):
    assert is_namespace_name(name)


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "_a", "a b", "a/b", "a\n", "\na", "ä", "a\0", "..", "a%2fb", "x" * 256, "a,b"]
)
def test_any_other_name_is_refused(name):
    assert not is_namespace_name(name)


def test_digest_is_sha256_of_the_bytes_in_the_payload():
    assert key_id_digest(b"\xff\x00id") == hashlib.sha256(b"\xff\x00id").hexdigest()


@pytest.mark.parametrize("other", [b"ID", b"id ", b"id\0", b"", "i\u0307d".encode()])
def test_key_ids_that_only_look_alike_have_other_digests(other):
    assert key_id_digest(other) != key_id_digest(b"id")
