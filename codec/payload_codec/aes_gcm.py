"""`binary/encrypted`: AES-256-GCM around a whole Payload, in the format of Temporal's own samples.

An encrypted payload:

    metadata["encoding"]           binary/encrypted
    metadata["encryption-key-id"]  the wire id of the key; may be empty, may not be absent
    data                           nonce (12 bytes, random) || ciphertext || tag (16 bytes)

The plaintext is the serialized `temporal.api.common.v1.Payload`, metadata and external_payloads included. There
is no associated data: the samples have none, and Workers of every SDK must be able to read what we write.

Sources: temporalio/samples-go encryption/data_converter.go and crypt.go, samples-python encryption/codec.py,
samples-typescript encryption/src/encryption-codec.ts; Java, .NET and Ruby write the same bytes.
"""

import os
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from temporalio.api.common.v1 import Payload

from .errors import NotDecodable, UnknownKey
from .keysource import Key, KeySource

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
NONCE_BYTES = 12
TAG_BYTES = 16

# temporalio/temporal-proxy has the same encoding, but its own format: the data key travels wrapped in this entry.
FOREIGN_KEY = "encryption-dek"


class Opening(NamedTuple):
    """One layer that was decrypted: the key's label, and the nonce and tag that tell this ciphertext from others."""

    key_label: str
    nonce: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """What an encrypted payload shows to anybody: the id of its key, if any, and its ciphertext's nonce and tag."""

    wire_id: bytes | None
    nonce: bytes
    tag: bytes


def is_encrypted(payload: Payload) -> bool:
    """Whether `payload` calls itself `binary/encrypted`, by whichever product."""
    return payload.metadata.get("encoding") == ENCODING


def is_ours(payload: Payload) -> bool:
    """Whether `payload` is in the format of this module."""
    return is_encrypted(payload) and FOREIGN_KEY not in payload.metadata


def encrypt(payload: Payload, key: Key) -> Payload:
    """Return `payload` encrypted with `key` under a fresh random nonce."""
    nonce = os.urandom(NONCE_BYTES)
    encrypted = Payload(data=nonce + key.aead.encrypt(nonce, payload.SerializeToString(), None))
    encrypted.metadata["encoding"] = ENCODING
    encrypted.metadata[KEY_ID] = key.wire_id
    return encrypted


def decrypt(payload: Payload, keys: KeySource) -> tuple[bytes, Opening]:
    """Return the serialized inner payload, and what was opened.

    Only the key that the payload names is tried. Raises UnknownKey, or NotDecodable if the key id is absent, the
    data is truncated or the tag does not verify.
    """
    key = keys.decryption_key(_wire_id(payload))
    if key is None:
        raise UnknownKey("no enabled key has the id that the payload names")
    data = payload.data
    if len(data) < NONCE_BYTES + TAG_BYTES:
        raise NotDecodable("shorter than a nonce and a tag")
    nonce = data[:NONCE_BYTES]
    try:
        plaintext = key.aead.decrypt(nonce, memoryview(data)[NONCE_BYTES:], None)
    except InvalidTag as error:
        raise NotDecodable("the tag does not verify") from error
    return plaintext, Opening(key.label, nonce, data[-TAG_BYTES:])


def seal_of(payload: Payload) -> Seal:
    """Return the seal of a payload in this format, which stays closed. Raises NotDecodable if it is too short."""
    if len(payload.data) < NONCE_BYTES + TAG_BYTES:
        raise NotDecodable("shorter than a nonce and a tag")
    return Seal(payload.metadata.get(KEY_ID), payload.data[:NONCE_BYTES], payload.data[-TAG_BYTES:])


def _wire_id(payload: Payload) -> bytes:
    wire_id = payload.metadata.get(KEY_ID)
    if wire_id is None:
        raise NotDecodable(f"no {KEY_ID} in the metadata")
    return wire_id
