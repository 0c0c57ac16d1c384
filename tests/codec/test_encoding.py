import base64

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload

from keys.models import AuditRecord, KeyVersion
from keys.rotation import rotate_key
from tests import canary
from tests.codec.test_decoding import encrypt
from tests.conftest import OPERATOR, PLAIN

BIG = {"metadata": PLAIN["metadata"], "data": base64.b64encode(b'"' + b"a" * 5000 + b'"').decode()}


def decrypt(key: bytes, payload: dict) -> Payload:
    """Decrypt as the format says, with nothing but AES-GCM."""
    data = base64.b64decode(payload["data"])
    return Payload.FromString(AESGCM(key).decrypt(data[:12], data[12:], None))


def test_encoded_bytes_decrypt_from_the_format_alone(encoded):
    assert base64.b64decode(encoded["metadata"]["encoding"]) == b"binary/encrypted"
    assert base64.b64decode(encoded["metadata"]["encryption-key-id"]) == b"canary"
    assert decrypt(canary.DATA_KEY, encoded).data == base64.b64decode(PLAIN["data"])


def test_what_shrinks_is_compressed_first(browser):
    encoded = browser.call("/encode", {"payloads": [BIG]}).json()["payloads"][0]
    assert decrypt(canary.DATA_KEY, encoded).metadata["encoding"] == b"binary/zlib"


def test_namespace_chooses_its_chain(browser, payments):
    payments.codec_chain = "aes-gcm"
    payments.save()
    encoded = browser.call("/encode", {"payloads": [BIG]}).json()["payloads"][0]
    assert decrypt(canary.DATA_KEY, encoded).metadata["encoding"] == b"json/plain"


@pytest.mark.parametrize("chain", ["zlib,aes-gcm", "gzip,aes-gcm", "snappy,aes-gcm", "aes-gcm"])
def test_every_chain_round_trips(browser, payments, chain):
    payments.codec_chain = chain
    payments.save()
    encoded = browser.call("/encode", {"payloads": [BIG, PLAIN]}).json()
    assert browser.call("/decode", encoded).json() == {"payloads": [BIG, PLAIN]}


def test_new_primary_encodes_from_the_next_request(browser, payments):
    version = rotate_key(payments, actor=OPERATOR, reason="test")
    encoded = browser.call("/encode", {"payloads": [PLAIN]}).json()["payloads"][0]
    assert base64.b64decode(encoded["metadata"]["encryption-key-id"]).decode() == version.key_id


def test_already_encrypted_payload_is_left_as_it_is(browser, encoded):
    assert browser.call("/encode", {"payloads": [encoded]}).json() == {"payloads": [encoded]}


def test_encrypted_payload_that_does_not_verify_is_400(browser):
    foreign = encrypt(b"another-key!!!!!another-key!!!!!", "canary", PLAIN)
    answer = browser.call("/encode", {"payloads": [foreign]})
    assert (answer.status_code, answer.json()["code"]) == (400, "already_encrypted")


def test_namespace_without_primary_is_503(browser):
    KeyVersion.objects.update(is_primary=False)
    assert browser.call("/encode", {"payloads": [PLAIN]}).status_code == 503


def test_encode_is_recorded_with_the_key(browser, encoded):
    record = AuditRecord.objects.latest("id")
    assert (record.action, record.outcome, record.details["keys"]) == ("payload:encoded", "allowed", {"canary": 1})


def test_denied_encode_is_403_and_recorded(mallorys_browser):
    assert mallorys_browser.call("/encode", {"payloads": [PLAIN]}).status_code == 403
    assert AuditRecord.objects.latest("id").outcome == "denied"
