"""Where the codec gets its keys: the server's keyring, or an HTTP lease in a Worker."""

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


@dataclass(frozen=True, slots=True)
class DataKey:
    """One AES-256-GCM data key, ready for use.

    `wire_id` is what stands in the payload's `encryption-key-id` metadata, as bytes;
    `label` is the same key's name for people, logs and audit: never key material.
    """

    label: str
    wire_id: bytes = field(repr=False)
    aead: AESGCM = field(repr=False)


class KeySource(Protocol):
    """The keys of one namespace."""

    def encryption_key(self) -> DataKey:
        """Return the primary. Raises UnknownKey when there is none."""

    def decryption_key(self, wire_id: bytes) -> DataKey:
        """Return the enabled key with this id. Raises UnknownKey otherwise."""
