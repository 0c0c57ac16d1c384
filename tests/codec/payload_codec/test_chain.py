import base64
import gzip
import json
import zlib
from contextlib import suppress
from pathlib import Path

import cramjam
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from codec.payload_codec.chain import Decoder, Encoder, Limits, Seal, check_steps
from codec.payload_codec.errors import LimitExceeded, NotDecodable, NotOurs, PayloadCodecError, UnknownKey
from tests.codec.payload_codec.fixed_keys import HI, KEY, KEYS, FixedKeys, compressed, encrypted

SAMPLES = json.loads((Path(__file__).parents[2] / "vectors" / "sample-codecs.json").read_text())
SAMPLE_KEYS = FixedKeys({wire_id.encode(): base64.b64decode(key) for wire_id, key in SAMPLES["keys"].items()})
LONG = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"hi" * 500 + b'"')
CHAINS = [
    ("aes-gcm",),
    ("zlib", "aes-gcm"),
    ("gzip", "aes-gcm"),
    ("snappy", "aes-gcm"),
    ("snappy", "gzip", "zlib", "aes-gcm"),
]


def zlibbed(payload: Payload, times: int = 1) -> Payload:
    for _ in range(times):
        payload = compressed("binary/zlib", zlib.compress(payload.SerializeToString()))
    return payload


def decode(payload: Payload, **limits: int) -> Payload:
    return Decoder(KEYS, Limits(**limits)).decode(payload)


# Decoding


@pytest.mark.parametrize("vector", SAMPLES["vectors"], ids=lambda vector: vector["name"])
def test_sample_codec_vector_decodes(vector):
    encoded, decoded = (ParseDict(vector[side], Payload()) for side in ("encoded", "decoded"))
    assert Decoder(SAMPLE_KEYS).decode(encoded) == decoded


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("binary/zlib", zlib.compress), ("binary/gzip", gzip.compress), ("binary/snappy", cramjam.snappy.compress_raw)],
)
def test_compressed_payload_decodes(encoding, compress):
    assert decode(compressed(encoding, bytes(compress(HI.SerializeToString())))) == HI


def test_codecs_in_any_order_decode():
    assert decode(zlibbed(encrypted(zlibbed(HI).SerializeToString()))) == HI


@pytest.mark.parametrize(
    "encoding", [b"", b"json/plain", b"binary/null", b"binary/acme", b"binary/encrypted2", b"\xff"]
)
def test_unknown_encoding_passes_as_the_same_object(encoding):
    payload = Payload(metadata={"encoding": encoding}, data=b"x")
    assert decode(payload) is payload


def test_payload_without_metadata_passes_as_the_same_object():
    payload = Payload(data=b"x")
    assert decode(payload) is payload


def test_payload_of_the_proxy_passes_as_the_same_object():
    payload = encrypted(HI.SerializeToString())
    payload.metadata["encryption-dek"] = b"d3JhcHBlZA=="
    assert decode(payload) is payload


def test_decoding_leaves_the_encoded_payload_alone():
    payload = encrypted(HI.SerializeToString())
    before = payload.SerializeToString(deterministic=True)
    decode(payload)
    assert payload.SerializeToString(deterministic=True) == before


def test_external_payloads_on_the_outermost_payload_are_kept():
    payload = encrypted(HI.SerializeToString())
    payload.external_payloads.add(size_bytes=7)
    assert [each.size_bytes for each in decode(payload).external_payloads] == [7]


def test_external_payloads_inside_win():
    inner, outer = Payload(), Payload()
    inner.external_payloads.add(size_bytes=1)
    outer.CopyFrom(encrypted(inner.SerializeToString()))
    outer.external_payloads.add(size_bytes=2)
    assert decode(outer) == inner


def test_what_was_encrypted_but_is_no_payload_is_not_decodable():
    with pytest.raises(NotDecodable):
        decode(encrypted(b"\xff\xff"))


def test_what_was_compressed_but_is_no_payload_is_not_decodable():
    with pytest.raises(NotDecodable):
        decode(compressed("binary/zlib", zlib.compress(b"\xff\xff")))


def test_four_nested_codecs_decode():
    assert decode(zlibbed(HI, times=4)) == HI


def test_five_nested_codecs_are_refused():
    with pytest.raises(LimitExceeded):
        decode(zlibbed(HI, times=5))


def test_fifth_nested_codec_may_be_encryption_and_is_refused():
    with pytest.raises(LimitExceeded):
        decode(zlibbed(encrypted(HI.SerializeToString()), times=4))


def test_payload_over_its_limit_is_refused():
    with pytest.raises(LimitExceeded):
        decode(zlibbed(LONG), max_payload_bytes=1000)


def test_budget_is_the_requests():
    decoder = Decoder(KEYS, Limits(max_request_bytes=2500))
    decoder.decode(zlibbed(LONG))
    decoder.decode(zlibbed(LONG))
    with pytest.raises(LimitExceeded):
        decoder.decode(zlibbed(LONG))


def test_nested_codecs_share_the_budget():
    with pytest.raises(LimitExceeded):
        decode(zlibbed(zlibbed(LONG)), max_request_bytes=len(LONG.SerializeToString()))


def test_million_tiny_fields_are_refused_before_they_become_objects():
    with pytest.raises(LimitExceeded):
        decode(compressed("binary/zlib", zlib.compress(b"\x1a\x00" * 1_000_000)))


def test_each_layer_of_encryption_leaves_an_opening():
    decoder = Decoder(FixedKeys({b"1": KEY, b"2": KEY}))
    decoder.decode(encrypted(encrypted(HI.SerializeToString()).SerializeToString(), wire_id=b"2"))
    assert [opening.key_label for opening in decoder.openings] == ["key-1", "key-0"]


def test_openings_of_a_request_add_up():
    decoder = Decoder(KEYS)
    payloads = [encrypted(HI.SerializeToString()) for _ in range(3)]
    for payload in payloads:
        decoder.decode(payload)
    assert [opening.nonce for opening in decoder.openings] == [payload.data[:12] for payload in payloads]


def test_failed_decode_leaves_no_opening():
    decoder = Decoder(KEYS)
    with pytest.raises(NotDecodable):
        decoder.decode(encrypted(HI.SerializeToString(), key=bytes(32)))
    assert decoder.openings == []


# Seals


def test_seal_shows_key_id_nonce_and_tag_of_the_outermost_encryption():
    inner = encrypted(HI.SerializeToString(), wire_id=b"inner")
    payload = encrypted(inner.SerializeToString(), wire_id=b"outer", nonce=b"n" * 12)
    assert Decoder(KEYS).outer_seal(payload) == Seal(b"outer", b"n" * 12, payload.data[-16:])


def test_seal_is_found_inside_of_compression():
    payload = encrypted(HI.SerializeToString())
    assert Decoder(KEYS).outer_seal(zlibbed(payload, 2)).tag == payload.data[-16:]


def test_seal_is_that_of_the_opening():
    decoder, payload = Decoder(KEYS), encrypted(HI.SerializeToString())
    decoder.decode(payload)
    seal, opening = decoder.outer_seal(payload), decoder.openings[0]
    assert (seal.nonce, seal.tag) == (opening.nonce, opening.tag)


def test_looking_at_a_seal_opens_nothing():
    decoder = Decoder(FixedKeys({}))
    assert decoder.outer_seal(encrypted(b"no payload at all"))
    assert decoder.openings == []


@pytest.mark.parametrize(
    "payload", [HI, zlibbed(HI), Payload(metadata={"encoding": b"binary/encrypted", "encryption-dek": b"x"})]
)
def test_payload_that_nothing_of_ours_encrypts_has_no_seal(payload):
    assert Decoder(KEYS).outer_seal(payload) is None


def test_payload_without_key_id_has_a_seal_that_names_none():
    payload = encrypted(HI.SerializeToString())
    del payload.metadata["encryption-key-id"]
    assert Decoder(KEYS).outer_seal(payload).wire_id is None


def test_payload_too_short_to_be_encrypted_has_no_seal():
    with pytest.raises(NotDecodable):
        Decoder(KEYS).outer_seal(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x" * 27))


def test_seal_beyond_the_limit_of_nesting_is_not_looked_for():
    with pytest.raises(LimitExceeded):
        Decoder(KEYS, Limits(max_nested=2)).outer_seal(zlibbed(HI, 3))


# Encoding


def test_default_chain_encrypts_around_zlib():
    encoded = Encoder(KEYS).encode(LONG)
    inner = Payload.FromString(AESGCM(KEY).decrypt(encoded.data[:12], encoded.data[12:], None))
    assert Payload.FromString(zlib.decompress(inner.data)) == LONG


def test_payload_that_would_not_shrink_is_only_encrypted():
    encoded = Encoder(KEYS).encode(HI)
    assert Payload.FromString(AESGCM(KEY).decrypt(encoded.data[:12], encoded.data[12:], None)) == HI


@pytest.mark.parametrize("steps", CHAINS, ids="+".join)
def test_every_chain_decodes_again(steps):
    assert decode(Encoder(KEYS, steps).encode(LONG)) == LONG


def test_encoder_names_the_key_of_each_payload_it_encrypts():
    encoder = Encoder(KEYS)
    encoder.encode(encoder.encode(HI))
    encoder.encode(LONG)
    assert encoder.key_labels == ["key-0", "key-0"]


def test_source_without_primary_cannot_encode():
    with pytest.raises(UnknownKey):
        Encoder(FixedKeys({})).encode(HI)


def test_payload_of_the_primary_stays_as_it_is():
    encoded = Encoder(KEYS).encode(HI)
    assert Encoder(KEYS).encode(encoded) is encoded


def test_payload_of_an_older_key_stays_as_it_is():
    encoded = encrypted(HI.SerializeToString(), wire_id=b"0")
    assert Encoder(FixedKeys({b"1": bytes(32), b"0": KEY})).encode(encoded) is encoded


def test_encrypted_payload_of_an_unknown_key_is_refused():
    with pytest.raises(NotOurs):
        Encoder(KEYS).encode(encrypted(HI.SerializeToString(), wire_id=b"2"))


def test_encrypted_payload_with_a_wrong_tag_is_refused():
    with pytest.raises(NotOurs):
        Encoder(KEYS).encode(encrypted(HI.SerializeToString(), key=bytes(32)))


def test_payload_that_only_claims_to_be_encrypted_is_refused():
    with pytest.raises(NotOurs):
        Encoder(KEYS).encode(compressed("binary/encrypted", b"plain"))


def test_payload_of_the_proxy_is_refused():
    payload = encrypted(HI.SerializeToString())
    payload.metadata["encryption-dek"] = b"d3JhcHBlZA=="
    with pytest.raises(NotOurs):
        Encoder(KEYS).encode(payload)


@pytest.mark.parametrize(
    "steps",
    [(), ("zlib",), ("aes-gcm", "zlib"), ("aes-gcm", "aes-gcm"), ("zlib", "zlib", "aes-gcm"), ("rot13", "aes-gcm")],
    ids=["nothing", "no encryption", "encryption first", "encrypted twice", "step twice", "unknown step"],
)
def test_chain_is_refused(steps):
    with pytest.raises(ValueError, match=r"^(A chain|Unknown)"):
        check_steps(steps)


def test_encoder_refuses_a_chain_without_encryption():
    with pytest.raises(ValueError, match="cannot be switched off"):
        Encoder(KEYS, ("zlib",))


# Any payload

on_a_busy_machine = settings(deadline=None)
OURS = ("binary/encrypted", "binary/zlib", "binary/gzip", "binary/snappy")
encodings = st.binary(max_size=20) | st.sampled_from([b"json/plain", b"binary/null", b"binary/plain"])


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    """Any payload that is not already encoded by us."""
    payload = Payload(data=draw(st.binary(max_size=2000)) * draw(st.integers(1, 20)))
    for name, value in draw(st.dictionaries(st.text(max_size=20), st.binary(max_size=50), max_size=5)).items():
        payload.metadata[name] = value
    payload.metadata["encoding"] = draw(encodings.filter(lambda encoding: encoding.decode("latin-1") not in OURS))
    for size in draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)):
        payload.external_payloads.add(size_bytes=size)
    return payload


@on_a_busy_machine
@given(payload=payloads(), steps=st.sampled_from(CHAINS))
def test_encode_then_decode_is_identity(payload, steps):
    assert decode(Encoder(KEYS, steps).encode(payload)) == payload


@on_a_busy_machine
@given(encoding=st.sampled_from(OURS), data=st.binary(max_size=200), wire_id=st.sampled_from([b"1", b"2"]))
def test_arbitrary_data_decodes_or_fails_as_a_codec_error(encoding, data, wire_id):
    payload = Payload(metadata={"encoding": encoding.encode(), "encryption-key-id": wire_id}, data=data)
    with suppress(PayloadCodecError):
        decode(payload)


@on_a_busy_machine
@given(plaintext=st.binary(max_size=200))
def test_arbitrary_plaintext_decodes_or_fails_as_a_codec_error(plaintext):
    with suppress(PayloadCodecError):
        decode(encrypted(plaintext))
