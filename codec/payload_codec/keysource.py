"""Where the codec gets its keys: the server's keyring, or an HTTP lease in a Worker."""

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Key(Protocol):
    """What the codec needs of a key. The server's keyring has its own class for it, and need not know this one."""

    @property
    def label(self) -> str:
        """The key's name for people, logs and audit: never key material."""

    @property
    def wire_id(self) -> bytes:
        """What stands in the payload's `encryption-key-id` metadata."""

    @property
    def aead(self) -> AESGCM:
        """The AES-256-GCM key, ready for use."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A Key that simply holds its three parts."""

    label: str
    wire_id: bytes = field(repr=False)
    aead: AESGCM = field(repr=False)


class KeySource(Protocol):
    """The keys of one namespace. Where there is no such key, it returns None or raises UnknownKey."""

    def encryption_key(self) -> Key | None:
        """Return the primary."""

    def decryption_key(self, wire_id: bytes) -> Key | None:
        """Return the enabled key with this id."""
