"""What every KEK provider promises."""

from dataclasses import dataclass
from typing import Protocol

from keys.errors import VaultUnavailable
from keys.names import length_prefixed


class KekUnavailable(VaultUnavailable):
    """The KEK cannot be used now: absent, unreadable, or its service is away."""


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


class KekProvider(Protocol):
    """A key encryption key, or a ring of them with one primary, outside the database."""

    def primary_id(self) -> str:
        """Return the id of the KEK that wraps new keys. Raises KekUnavailable."""

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        """Return (KEK id, wrapped key) under the primary KEK. Raises KekUnavailable."""

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        """Return the data key. Raises UnwrapRefused or KekUnavailable."""
