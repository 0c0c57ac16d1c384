"""What every KEK provider promises."""

import struct
from dataclasses import dataclass
from typing import Protocol

from keys.errors import VaultUnavailable


class KekUnavailable(VaultUnavailable):
    """The KEK cannot be used now: absent, unreadable, wrongly configured, or its service is away."""


class KekDenied(KekUnavailable):
    """The KEK's service is there and refuses this one call; about other namespaces that says nothing."""


class UnwrapRefused(VaultUnavailable):
    """The wrapped key is damaged, or was wrapped for another namespace, key id, version or KEK."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a wrapped key is bound to, so that it cannot be moved to another row."""

    namespace: str
    key_id: str
    number: int

    def associated_data(self, kek_id: str) -> bytes:
        """Return "codec-kek-v1" followed by namespace, key id, number and KEK id, each with its length in front."""
        parts = (self.namespace, self.key_id, str(self.number), kek_id)
        return b"codec-kek-v1" + b"".join(map(length_prefixed, parts))


def length_prefixed(text: str) -> bytes:
    """Return the UTF-8 bytes of `text` after their count as 4 bytes, big-endian."""
    data = text.encode()
    return struct.pack(">I", len(data)) + data


class KekProvider(Protocol):
    """A key encryption key, or a ring of them with one primary, outside the database.

    KEK ids are stored with the keys they wrap: at most 255 characters, the same in every process and at every start,
    never used again for another key. Threads may call at once. No message holds key material, PINs or tokens.
    """

    def primary_id(self) -> str:
        """Return the id of the KEK that wraps new keys. Raises KekUnavailable."""

    def holds(self, kek_id: str) -> bool:
        """Return whether `unwrap` can be asked for this KEK; quickly, when the id is of another kind.

        Only KEKs that the configuration names count: the id comes from the database. Raises KekUnavailable.
        """

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        """Return (KEK id, wrapped key) under the primary KEK. Raises KekUnavailable."""

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        """Return the data key. Raises UnwrapRefused or KekUnavailable."""
