"""Decode end to end: every vector, whose keys, all or nothing, and a record of each."""

import base64
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload

from codec import decoding
from codec.grants import give_grant
from keys.lifecycle import disable
from keys.models import AuditRecord, KeyVersion
from keys.rotation import create_namespace, import_key, rotate_key
from tests import canary
from tests.conftest import OPERATOR, PLAIN, signed_in

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "sample-codecs.json").read_text())


@pytest.fixture
def sample_keys(payments):
    for key_id, key in VECTORS["keys"].items():
        import_key(payments, key_id, base64.b64decode(key), primary=False, actor=OPERATOR)


def encrypt(key: bytes, key_id: str, payload: dict) -> dict:
    """Encrypt as the format says, with nothing but AES-GCM."""
    inner = Payload(
        metadata={name: base64.b64decode(value) for name, value in payload["metadata"].items()},
        data=base64.b64decode(payload["data"]),
    )
    nonce = os.urandom(12)
    data = nonce + AESGCM(key).encrypt(nonce, inner.SerializeToString(), None)
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": key_id.encode()}
    return {
        "metadata": {name: base64.b64encode(value).decode() for name, value in metadata.items()},
        "data": base64.b64encode(data).decode(),
    }


def last_record() -> AuditRecord:
    return AuditRecord.objects.filter(action__startswith="payload:").latest("id")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_vector_decodes(browser, sample_keys, vector):
    answer = browser.call("/decode?preserveStorageRefs=true", {"payloads": [vector["encoded"]]})
    assert answer.json() == {"payloads": [vector["decoded"]]}


def test_ciphertext_made_from_the_format_alone_decodes(browser):
    answer = browser.call("/decode", {"payloads": [encrypt(canary.DATA_KEY, "canary", PLAIN)]})
    assert answer.json() == {"payloads": [PLAIN]}


def test_one_bad_payload_fails_the_whole_request(browser, encoded):
    bad = encrypt(os.urandom(32), "canary", PLAIN)
    answer = browser.call("/decode", {"payloads": [encoded, bad]})
    assert (answer.status_code, answer.json()["code"]) == (400, "undecodable")


def test_ciphertext_of_another_namespace_answers_like_an_unknown_key(browser, alice):
    refunds = create_namespace("refunds", actor=OPERATOR)
    give_grant(alice, refunds, decode=True, encode=True, actor=OPERATOR, reason="test")
    foreign = browser.call("/encode", {"payloads": [PLAIN]}, namespace="refunds").json()["payloads"][0]
    unknown = encrypt(canary.DATA_KEY, "no-such-key", PLAIN)
    answers = [browser.call("/decode", {"payloads": [payload]}).json() for payload in (foreign, unknown)]
    assert answers[0] | {"request_id": ""} == answers[1] | {"request_id": ""}
    assert answers[0]["status"] == 400


def test_same_key_id_in_two_namespaces_is_two_keys(browser, alice, encoded):
    refunds = create_namespace("refunds", actor=OPERATOR)
    import_key(refunds, "canary", os.urandom(32), primary=True, actor=OPERATOR)
    give_grant(alice, refunds, decode=True, encode=False, actor=OPERATOR, reason="test")
    assert browser.call("/decode", {"payloads": [encoded]}, namespace="refunds").status_code == 400


@pytest.mark.parametrize(
    "key_id", ["CANARY", "canary ", "canary\n", "0canary", "%", "_anary", "../canary", "canary\x00", "", "x" * 10_000]
)
def test_key_id_is_matched_to_the_byte(browser, key_id):
    assert browser.call("/decode", {"payloads": [encrypt(canary.DATA_KEY, key_id, PLAIN)]}).status_code == 400


def test_old_version_still_decodes_after_rotation(browser, payments, encoded):
    rotate_key(payments, actor=OPERATOR, reason="test")
    assert browser.call("/decode", {"payloads": [encoded]}).json() == {"payloads": [PLAIN]}


def test_version_that_is_not_enabled_decodes_nothing(browser, payments, encoded):
    rotate_key(payments, actor=OPERATOR, reason="test")
    KeyVersion.objects.filter(key_id="canary").update(state="DISABLED")
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 400


def test_kek_that_is_gone_is_503(browser, encoded):
    KeyVersion.objects.update(kek_id="local-elsewhere")
    answer = browser.call("/decode", {"payloads": [encoded]})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_decompression_bomb_is_413(browser, settings):
    import zlib

    settings.CODEC_MAX_DECOMPRESSED_PAYLOAD_BYTES = 1024
    metadata = {"encoding": base64.b64encode(b"binary/zlib").decode()}
    bomb = {"metadata": metadata, "data": base64.b64encode(zlib.compress(bytes(100_000))).decode()}
    assert browser.call("/decode", {"payloads": [bomb]}).status_code == 413


class TestRecord:
    def test_decode_is_recorded_with_who_what_and_from_where(self, browser, encoded, alice):
        browser.call("/decode", {"payloads": [encoded, encoded, PLAIN]}, user_agent="Chromium")
        record = last_record()
        assert (record.action, record.outcome, record.namespace) == ("payload:decoded", "allowed", "payments")
        assert (record.actor_id, record.actor_name) == (str(alice.pk), "alice")
        assert record.credential.startswith("session ")
        assert (record.address, record.web_origin, record.user_agent) == (
            "127.0.0.1",
            "http://localhost:8080",
            "Chromium",
        )
        assert record.details["payloads"] == 3
        assert record.details["keys"] == {"canary": 2}

    def test_denied_decode_is_recorded_with_its_reason(self, mallorys_browser):
        mallorys_browser.call("/decode")
        assert (last_record().outcome, last_record().reason) == ("denied", "no_grant")

    def test_denied_decode_that_returns_the_payloads_is_recorded_as_denied(self, mallorys_browser, payments, encoded):
        payments.denied_decode = "return_encoded"
        payments.save()
        mallorys_browser.call("/decode", {"payloads": [encoded]})
        assert (last_record().outcome, last_record().reason) == ("denied", "no_grant")

    @pytest.mark.parametrize(("body", "reason"), [(b"junk", "malformed_body"), (b"[]", "malformed_body")])
    def test_failed_decode_is_recorded_with_its_reason(self, browser, body, reason):
        browser.call("/decode", body)
        assert (last_record().outcome, last_record().reason) == ("failed", reason)

    def test_key_id_that_names_no_key_is_not_recorded(self, browser):
        browser.call("/decode", {"payloads": [encrypt(canary.DATA_KEY, "attackers-words", PLAIN)]})
        assert last_record().reason == "undecodable"
        assert "attackers" not in repr(AuditRecord.objects.values().latest("id"))

    def test_error_nobody_foresaw_is_recorded_as_failed(self, browser, monkeypatch):
        browser.raise_request_exception = False
        monkeypatch.setattr(decoding, "Decoder", None)
        answer = browser.call("/decode", {"payloads": [PLAIN]})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert (last_record().outcome, last_record().reason) == ("failed", "internal_error")

    def test_unknown_namespace_is_recorded_escaped_and_short(self, mallorys_browser):
        mallorys_browser.call("/decode", namespace="n" * 200)
        assert last_record().namespace == "n" * 64


class TestAuditUnwritable:
    @pytest.mark.parametrize("path", ["/decode", "/encode"])
    def test_nothing_leaves(self, browser, audit_unwritable, path):
        answer = browser.call(path, {"payloads": [PLAIN]})
        assert answer.status_code == 503
        assert "payloads" not in answer.json()

    def test_refusal_before_the_caller_is_known_keeps_its_status(self, browser, audit_unwritable):
        assert browser.call("/decode", origin="https://evil.example").status_code == 403


def test_mallory_reads_nothing_with_alices_ciphertext(mallory, browser, encoded):
    answer = signed_in(mallory).call("/decode", {"payloads": [encoded]})
    assert answer.status_code == 403
    canary.check("mallory's answer", answer.content)


def test_record_names_the_key_version_that_was_not_enabled(browser, encoded, payments, canary_key):
    rotate_key(payments, actor=OPERATOR, reason="test")
    disable(canary_key, actor=OPERATOR, reason="test")
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 400
    assert last_record().details["not_enabled"] == ["canary"]


def test_record_of_a_key_that_never_was_names_none(browser):
    browser.call("/decode", {"payloads": [encrypt(os.urandom(32), "unknown", PLAIN)]})
    assert "not_enabled" not in last_record().details
