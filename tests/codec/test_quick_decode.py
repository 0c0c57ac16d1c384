"""The quick decode gives what the general one gives, or nothing."""

import base64
import gzip
import json
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from codec import wire
from codec.payload_codec.chain import DEFAULT_LIMITS, Decoder, Limits
from codec.payload_codec.errors import UnknownKey
from codec.payload_codec.keysource import KeySource
from codec.quick import Quick
from codec.quick_decode import QuickDecoder
from codec.wire import WireLimits
from tests.codec.payload_codec.fixed_keys import HI, KEYS, FixedKeys, compressed, encrypted

LIMITS = WireLimits(max_payloads=5)


def body_of(*payloads: Payload) -> bytes:
    return wire.write_payloads(payloads)


def generally(body: bytes) -> tuple[bytes, int, int, list, list]:
    payloads = wire.parse_payloads(body, limits=LIMITS, refuse_unknown_fields=False)
    decoder = Decoder(KEYS)
    answer = wire.write_payloads([decoder.decode(payload) for payload in payloads])
    size, labels = sum(len(payload.data) for payload in payloads), [opening.key_label for opening in decoder.openings]
    return answer, len(payloads), size, labels, decoder.openings


def decode_common(body: bytes, keys: KeySource = KEYS, limits: Limits = DEFAULT_LIMITS) -> Quick | None:
    return QuickDecoder(keys, LIMITS, limits).decode(body)


def sealed(inner: Payload, **more: object) -> Payload:
    return encrypted(inner.SerializeToString(), **more)


def zlibbed(payload: Payload) -> Payload:
    return compressed("binary/zlib", zlib.compress(payload.SerializeToString()))


EXTERNAL = Payload(external_payloads=[Payload.ExternalPayloadDetails(size_bytes=5)])
INNER = st.builds(
    Payload,
    metadata=st.dictionaries(st.text(max_size=8), st.binary(max_size=12), max_size=3),
    data=st.binary(max_size=60),
)


@given(st.lists(INNER, min_size=1, max_size=5))
def test_common_request_is_decoded_as_the_general_way_does(inner):
    body = body_of(*map(sealed, inner))
    assert tuple(decode_common(body)) == generally(body)


def fields(payload: Payload, *, order: str) -> bytes:
    """Return the payload serialized with its metadata and data in this order, which no serializer promises."""
    parts = {
        "m": Payload(metadata=payload.metadata).SerializeToString(),
        "d": Payload(data=payload.data).SerializeToString(),
        "e": b"\x12\x00",  # data that is empty, said aloud
        "x": b"\xba\x06\x01x",  # a field that we do not know
    }
    return b"".join(parts[part] for part in order)


CODECS = {
    "binary/zlib": zlib.compress,
    "binary/gzip": gzip.compress,
    "binary/snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
}


@given(st.lists(st.tuples(INNER, st.sampled_from(["", *CODECS])), min_size=1, max_size=5))
def test_compressed_inside_is_decoded_as_the_general_way_does(inner):
    def inside(payload: Payload, codec: str) -> Payload:
        return compressed(codec, CODECS[codec](payload.SerializeToString())) if codec else payload

    body = body_of(*[sealed(inside(payload, codec)) for payload, codec in inner])
    assert tuple(decode_common(body)) == generally(body)


@pytest.mark.parametrize(
    ("limits", "is_taken"),
    [
        (Limits(max_payload_bytes=1000, max_request_bytes=2000), True),
        (Limits(max_payload_bytes=999, max_request_bytes=2000), False),
        (Limits(max_payload_bytes=1000, max_request_bytes=1999), False),
        (Limits(max_nested=2), True),
        (Limits(max_nested=1), False),
    ],
)
def test_limits_of_decompression_are_the_general_ways(limits, is_taken):
    inner = Payload(data=b"x" * 997)
    assert inner.ByteSize() == 1000
    assert (decode_common(body_of(*[sealed(zlibbed(inner))] * 2), limits=limits) is not None) is is_taken


def test_many_fields_in_little_zlib_are_left_to_the_general_way():
    crowd = Payload(external_payloads=[Payload.ExternalPayloadDetails()] * 2000)
    assert decode_common(body_of(sealed(zlibbed(crowd)))) is None


SAME_METADATA = st.lists(st.tuples(st.binary(max_size=300), st.text("mdex", max_size=4)), min_size=1, max_size=5)


@given(SAME_METADATA, st.dictionaries(st.text(max_size=8), st.binary(max_size=12), max_size=2))
def test_metadata_of_the_payload_before_is_taken_only_where_it_is_the_same(plaintexts, metadata):
    inner = [fields(Payload(metadata=metadata, data=data), order=order) for data, order in plaintexts]
    body = body_of(*map(encrypted, inner))
    assert tuple(decode_common(body)) == generally(body)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 129, 130, 16_383, 16_384, 2_097_151, 2_097_152])
def test_data_of_any_size_is_decoded_after_the_first(size):
    body = body_of(*[sealed(Payload(metadata={"encoding": b"json/plain"}, data=b"x" * n)) for n in (5, size)])
    assert tuple(decode_common(body)) == generally(body)


UNCOMMON = {
    "nothing": b'{"payloads":[]}',
    "no list": b'{"payloads":{"metadata":1,"data":2}}',
    "no object": b"[]",
    "no JSON": b"{",
    "a string for a payload": b'{"payloads":["x"]}',
    "plain": body_of(HI),
    "plain beside encrypted": body_of(sealed(HI), HI),
    "compressed outside": body_of(zlibbed(sealed(HI))),
    "compressed twice inside": body_of(sealed(zlibbed(zlibbed(HI)))),
    "encrypted, compressed, encrypted": body_of(sealed(zlibbed(sealed(HI)))),
    "broken zlib inside": body_of(sealed(compressed("binary/zlib", zlib.compress(b"x" * 99)[:-1]))),
    "no payload inside zlib": body_of(sealed(compressed("binary/zlib", zlib.compress(b"\xff" * 9)))),
    "zlib and more metadata": body_of(sealed(Payload(metadata={**zlibbed(HI).metadata, "x": b"y"}, data=b"z"))),
    "encrypted twice": body_of(sealed(sealed(HI))),
    "external payloads inside": body_of(
        sealed(Payload(external_payloads=[Payload.ExternalPayloadDetails(size_bytes=5)]))
    ),
    "another product's": body_of(Payload(metadata={**sealed(HI).metadata, "encryption-dek": b"x"}, data=b"x" * 40)),
    "another cipher in metadata": body_of(Payload(metadata={**sealed(HI).metadata, "x": b"y"}, data=sealed(HI).data)),
    "no data": body_of(Payload(metadata=sealed(HI).metadata)),
    "too short": body_of(Payload(metadata=sealed(HI).metadata, data=b"x" * 27)),
    "wrong tag": body_of(Payload(metadata=sealed(HI).metadata, data=b"x" * 40)),
    "no payload inside": body_of(encrypted(b"\xff" * 9)),
    "too many": body_of(*[sealed(HI)] * 6),
}


@pytest.mark.parametrize("body", UNCOMMON.values(), ids=UNCOMMON)
def test_anything_else_is_left_to_the_general_way(body):
    assert decode_common(body) is None


def changed(**fields: object) -> bytes:
    payload = json.loads(body_of(sealed(HI)))["payloads"][0]
    return json.dumps({"payloads": [payload | fields]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        changed(data=None),
        changed(data=5),
        changed(data="AA=A"),
        changed(data=base64.urlsafe_b64encode(sealed(HI).data + b"\xfb\xff").decode()),
        changed(metadata=None),
        changed(metadata=[1, 2]),
        changed(metadata={"encoding": "YmluYXJ5L2VuY3J5cHRlZA==", "encryption-key-id": None}),
        changed(metadata={"encoding": "YmluYXJ5L2VuY3J5cHRlZA", "encryption-key-id": "MQ=="}),
        changed(external_payloads=[{"size_bytes": 5}]),
        changed(unknown=1),
    ],
)
def test_other_spellings_are_left_to_the_general_way(body):
    assert decode_common(body) is None


@given(st.binary(max_size=40))
def test_nonsense_is_left_to_the_general_way(body):
    assert decode_common(body) is None


def test_unknown_key_is_left_to_the_general_way():
    class Keyring(FixedKeys):
        def decryption_key(self, wire_id):
            return None

    assert decode_common(body_of(sealed(HI)), Keyring({})) is None


def test_key_source_that_cannot_say_now_is_heard():
    with pytest.raises(UnknownKey):
        decode_common(body_of(sealed(HI, wire_id=b"nobody's")))
