import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload

from codec.payload_codec import aes_gcm
from codec.payload_codec.errors import NotDecodable, UnknownKey
from tests.codec.payload_codec.fixed_keys import HI, KEY, KEYS, FixedKeys, encrypted


def encrypt(payload: Payload = HI) -> Payload:
    return aes_gcm.encrypt(payload, KEYS.decryption_key(b"1"))


def test_encrypted_bytes_follow_the_format():
    data = encrypt().data
    assert Payload.FromString(AESGCM(KEY).decrypt(data[:12], data[12:], None)) == HI


def test_encrypted_payload_has_the_samples_metadata_and_no_other():
    assert dict(encrypt().metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"1"}


def test_bytes_made_from_the_format_are_decrypted():
    plaintext, _ = aes_gcm.decrypt(encrypted(HI.SerializeToString()), KEYS)
    assert Payload.FromString(plaintext) == HI


def test_external_payloads_are_encrypted_with_the_rest():
    payload = Payload(data=b"reference")
    payload.external_payloads.add(size_bytes=7)
    plaintext, _ = aes_gcm.decrypt(encrypt(payload), KEYS)
    assert Payload.FromString(plaintext) == payload


def test_every_encryption_has_its_own_nonce():
    assert len({encrypt().data[:12] for _ in range(100)}) == 100


def test_opening_names_the_key_the_nonce_and_the_tag():
    payload = encrypt()
    _, opening = aes_gcm.decrypt(payload, KEYS)
    assert opening == aes_gcm.Opening("key-0", payload.data[:12], payload.data[-16:])


def test_opening_can_be_shown():
    _, opening = aes_gcm.decrypt(encrypt(), KEYS)
    assert "hi" not in repr(opening)


def test_empty_key_id_is_an_id():
    keys = FixedKeys({b"": KEY})
    assert aes_gcm.decrypt(encrypted(b"", wire_id=b""), keys)[0] == b""


def test_absent_key_id_is_not_decodable():
    payload = encrypt()
    del payload.metadata["encryption-key-id"]
    with pytest.raises(NotDecodable):
        aes_gcm.decrypt(payload, KEYS)


def test_unknown_key_id_is_unknown():
    with pytest.raises(UnknownKey):
        aes_gcm.decrypt(encrypted(b"", wire_id=b"2"), KEYS)


def test_source_that_answers_none_has_no_such_key():
    class Empty:
        def encryption_key(self) -> None: ...
        def decryption_key(self, wire_id: bytes) -> None: ...

    with pytest.raises(UnknownKey):
        aes_gcm.decrypt(encrypt(), Empty())


def test_no_other_key_is_tried():
    keys = FixedKeys({b"1": os.urandom(32), b"2": KEY})
    with pytest.raises(NotDecodable):
        aes_gcm.decrypt(encrypt(), keys)


@pytest.mark.parametrize("position", [0, 11, 12, 20, -16, -1], ids=["nonce", "nonce end", "text", "mid", "tag", "end"])
def test_flipped_bit_is_not_decodable(position):
    payload = encrypt()
    corrupt = bytearray(payload.data)
    corrupt[position] ^= 1
    payload.data = bytes(corrupt)
    with pytest.raises(NotDecodable):
        aes_gcm.decrypt(payload, KEYS)


@pytest.mark.parametrize("size", [0, 1, 12, 27, 28])
def test_truncated_data_is_not_decodable(size):
    payload = encrypt()
    payload.data = payload.data[:size]
    with pytest.raises(NotDecodable):
        aes_gcm.decrypt(payload, KEYS)


def test_appended_byte_is_not_decodable():
    payload = encrypt()
    payload.data += b"\0"
    with pytest.raises(NotDecodable):
        aes_gcm.decrypt(payload, KEYS)


def test_swapped_nonce_is_not_decodable():
    payload = encrypt()
    payload.data = encrypt().data[:12] + payload.data[12:]
    with pytest.raises(NotDecodable):
        aes_gcm.decrypt(payload, KEYS)


def test_payload_of_the_proxy_is_encrypted_but_not_ours():
    payload = encrypt()
    payload.metadata["encryption-dek"] = b"d3JhcHBlZA=="
    assert aes_gcm.is_encrypted(payload)
    assert not aes_gcm.is_ours(payload)
