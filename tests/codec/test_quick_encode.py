"""The quick encode gives what the general one gives, but for the nonce, or nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from codec import wire
from codec.payload_codec.chain import Decoder, Encoder
from codec.payload_codec.errors import UnknownKey
from codec.quick import Quick
from codec.quick_encode import QuickEncoder
from codec.wire import WireLimits
from tests.codec.payload_codec.fixed_keys import HI, KEYS, FixedKeys, encrypted

LIMITS = WireLimits(max_payloads=5, max_metadata_entries=3)
CHAINS = [["aes-gcm"], ["zlib", "aes-gcm"], ["gzip", "aes-gcm"], ["snappy", "aes-gcm"], ["snappy", "zlib", "aes-gcm"]]
PLAIN = st.builds(
    Payload,
    metadata=st.dictionaries(st.text(max_size=8), st.binary(max_size=12), max_size=3),
    data=st.binary(max_size=60) | st.just(b"a" * 500),
)


def encode_common(body: bytes, steps: list[str] | None = None) -> Quick | None:
    return QuickEncoder(KEYS, LIMITS, steps or ["zlib", "aes-gcm"]).encode(body)


def body_of(*payloads: Payload) -> bytes:
    """Write metadata and data even where they are empty."""
    items = [{"metadata": {}, "data": ""} | wire.to_json(payload) for payload in payloads]
    return json.dumps({"payloads": items}).encode()


def parsed(answer: bytes) -> list[Payload]:
    return wire.parse_payloads(answer, limits=LIMITS, refuse_unknown_fields=True)


@given(st.lists(PLAIN, min_size=1, max_size=5), st.sampled_from(CHAINS))
def test_common_request_is_encoded_as_the_general_way_does(plain, steps):
    quick, encoder = encode_common(body_of(*plain), steps), Encoder(KEYS, steps)
    generally = [encoder.encode(payload) for payload in plain]
    found = parsed(quick.answer)
    assert [payload.metadata for payload in found] == [payload.metadata for payload in generally]
    assert [len(payload.data) for payload in found] == [len(payload.data) for payload in generally]
    assert [Decoder(KEYS).decode(payload) for payload in found] == plain
    assert quick.payloads == len(plain)
    assert quick.size == sum(len(payload.data) for payload in plain)
    assert quick.key_labels == encoder.key_labels
    assert quick.openings == []


def test_no_nonce_comes_twice():
    quick = encode_common(body_of(*[HI] * 5), ["aes-gcm"])
    assert len({payload.data[:12] for payload in parsed(quick.answer)}) == 5


PAYLOAD = json.loads(body_of(HI))["payloads"][0]


def request(*payloads: object, **more: object) -> bytes:
    return json.dumps({"payloads": list(payloads)} | more).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        request(),
        request(PAYLOAD, more=1),
        request("x"),
        request(None),
        request({}),
        request(*[PAYLOAD] * 6),
        request({"metadata": PAYLOAD["metadata"]}),
        request({"data": PAYLOAD["data"]}),
        request(PAYLOAD | {"externalPayloads": []}),
        request(PAYLOAD | {"data": None}),
        request(PAYLOAD | {"data": 5}),
        request(PAYLOAD | {"data": "AA=A"}),
        request(PAYLOAD | {"data": "-_-_"}),
        request(PAYLOAD | {"metadata": None}),
        request(PAYLOAD | {"metadata": [1]}),
        request(PAYLOAD | {"metadata": {"encoding": None}}),
        request(PAYLOAD | {"metadata": {"encoding": "A"}}),
        request(PAYLOAD | {"metadata": dict.fromkeys("abcd", "")}),
        request(PAYLOAD, PAYLOAD | {"metadata": dict.fromkeys("abcd", "")}),
        request(*json.loads(wire.write_payloads([encrypted(HI.SerializeToString())]))["payloads"]),
    ],
)
def test_anything_else_is_left_to_the_general_way(body):
    assert encode_common(body) is None


def test_namespace_without_a_primary_is_left_to_the_general_way():
    class Keyring(FixedKeys):
        def encryption_key(self):
            return None

    assert QuickEncoder(Keyring({}), LIMITS, ["aes-gcm"]).encode(request(PAYLOAD)) is None


def test_key_source_that_cannot_say_now_is_heard():
    class Keyring(FixedKeys):
        def encryption_key(self):
            raise UnknownKey("not now")

    with pytest.raises(UnknownKey):
        QuickEncoder(Keyring({}), LIMITS, ["aes-gcm"]).encode(request(PAYLOAD))


def test_chain_without_encryption_is_refused():
    with pytest.raises(ValueError, match="encryption cannot be switched off"):
        QuickEncoder(KEYS, LIMITS, ["zlib"])
