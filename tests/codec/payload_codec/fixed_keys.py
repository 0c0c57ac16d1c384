"""A key source of given keys, and payloads built from the format's description alone."""

import os
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload

from codec.payload_codec.errors import UnknownKey
from codec.payload_codec.keysource import DataKey

KEY = bytes(range(32))
HI = Payload(metadata={"encoding": b"json/plain"}, data=b'"hi"')


class FixedKeys:
    """The KeySource of `{wire id: 32-byte key}`; the first is the primary."""

    def __init__(self, keys: Mapping[bytes, bytes]) -> None:
        self._keys = {
            wire_id: DataKey(f"key-{n}", wire_id, AESGCM(key)) for n, (wire_id, key) in enumerate(keys.items())
        }

    def encryption_key(self) -> DataKey | None:
        return next(iter(self._keys.values()), None)

    def decryption_key(self, wire_id: bytes) -> DataKey:
        if wire_id not in self._keys:
            raise UnknownKey
        return self._keys[wire_id]


KEYS = FixedKeys({b"1": KEY})


def encrypted(plaintext: bytes, *, key: bytes = KEY, wire_id: bytes = b"1", nonce: bytes | None = None) -> Payload:
    """Return a `binary/encrypted` payload around `plaintext`, by a plain AES-GCM call."""
    nonce = nonce or os.urandom(12)
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": wire_id}
    return Payload(metadata=metadata, data=nonce + AESGCM(key).encrypt(nonce, plaintext, None))


def compressed(encoding: str, data: bytes) -> Payload:
    return Payload(metadata={"encoding": encoding.encode()}, data=data)
