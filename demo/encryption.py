"""What a Worker needs so that Temporal sees only ciphertext: a key, the Payload Codec, a data converter around both."""

import dataclasses
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from codec.payload_codec.chain import Decoder, Encoder
from codec.payload_codec.errors import UnknownKey
from codec.payload_codec.keysource import DataKey, KeySource


class OneKey:
    """A KeySource that holds a single key, as a Worker that reads its key from a secret file does."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self._key = DataKey(label=key_id, wire_id=key_id.encode(), aead=AESGCM(key))

    def encryption_key(self) -> DataKey:
        """Return the key."""
        return self._key

    def decryption_key(self, wire_id: bytes) -> DataKey:
        """Return the key if it has this id."""
        if wire_id != self._key.wire_id:
            raise UnknownKey("Another key is needed")
        return self._key


class EncryptingCodec(PayloadCodec):
    """The project's Payload Codec in the shape that the Python SDK expects."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Compress and encrypt each payload."""
        encoder = Encoder(self._keys)
        return [encoder.encode(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt and decompress each payload; pass on what is not encrypted."""
        decoder = Decoder(self._keys)
        return [decoder.decode(payload) for payload in payloads]


def encrypting_converter(key_id: str, key: bytes) -> DataConverter:
    """Return a data converter that encrypts every payload, and the messages and stack traces of failures too."""
    return dataclasses.replace(
        DataConverter.default,
        payload_codec=EncryptingCodec(OneKey(key_id, key)),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
