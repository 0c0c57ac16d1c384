"""The one door to unwrapped data keys.

Keys are found by (namespace, key id) only: an id of another namespace is an unknown id here.
Nothing is remembered between requests; a Keyring lives for one request.
"""

import hmac
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from keys.errors import VaultUnavailable
from keys.models import KeyVersion, Namespace
from keys.names import key_id_digest
from keys.wrapping import provider
from keys.wrapping.base import Binding, length_prefixed


@dataclass(frozen=True, slots=True)
class OpenKey:
    """An unwrapped AES-256-GCM key: `label` for people and audit, `wire_id` as it stands in payloads."""

    label: str
    wire_id: bytes = field(repr=False)
    aead: AESGCM = field(repr=False)


class Keyring:
    """The usable keys of one namespace, each unwrapped at most once."""

    def __init__(self, namespace: Namespace) -> None:
        self._versions = KeyVersion.objects.filter(namespace=namespace, state=KeyVersion.State.ENABLED)
        self._namespace = namespace
        self._opened: dict[str, OpenKey | None] = {}

    def encryption_key(self) -> OpenKey | None:
        """Return the primary, or None when the namespace has none. Raises VaultUnavailable."""
        version = self._versions.filter(is_primary=True).first()
        return self._open(version, version.key_id.encode()) if version else None

    def decryption_key(self, wire_id: bytes) -> OpenKey | None:
        """Return the enabled key with this id, or None. Raises VaultUnavailable."""
        digest = key_id_digest(wire_id)
        if digest not in self._opened:
            version = self._versions.filter(key_id_digest=digest).first()
            self._opened[digest] = self._open(version, wire_id) if version else None
        return self._opened[digest]

    def _open(self, version: KeyVersion, wire_id: bytes) -> OpenKey:
        version.namespace = self._namespace
        return OpenKey(label=version.key_id, wire_id=wire_id, aead=AESGCM(unwrap(version)))


def wrap_new(version: KeyVersion, data_key: bytes) -> None:
    """Fill `kek_id`, `wrapped` and `check_value` of an unsaved version. Raises VaultUnavailable."""
    version.kek_id, version.wrapped = provider(settings.CODEC_KEK).wrap(data_key, _binding(version))
    version.check_value = check_value(version, data_key)


def unwrap(version: KeyVersion) -> bytes:
    """Return the 32-byte data key, proven by its check value. Raises VaultUnavailable."""
    data_key = provider(settings.CODEC_KEK).unwrap(version.kek_id, bytes(version.wrapped or b""), _binding(version))
    if not hmac.compare_digest(check_value(version, data_key), bytes(version.check_value)):
        raise VaultUnavailable(f"Key version {version.key_id} does not match its check value.")
    return data_key


def check_value(version: KeyVersion, data_key: bytes) -> bytes:
    """Return the 8-byte key-check value; KeyVersion's docstring gives the formula."""
    message = b"codec-kcv-v1" + length_prefixed(version.namespace.name) + length_prefixed(version.key_id)
    return hmac.digest(data_key, message, "sha256")[:8]


def new_data_key() -> bytes:
    """Return 32 random bytes from the operating system."""
    return os.urandom(32)


def _binding(version: KeyVersion) -> Binding:
    return Binding(version.namespace.name, version.key_id, version.number)
