"""The one door to unwrapped data keys, and their only cache.

Keys are found by (namespace, key id) only: an id of another namespace is an unknown id here. What has been found,
or not found, is kept in this process for CODEC_KEY_CACHE_SECONDS at most, CODEC_KEY_CACHE_SIZE entries at most,
and never beyond the policy epoch it was found under.
"""

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from keys.errors import NotRemembered, VaultUnavailable
from keys.models import KeyVersion, Namespace
from keys.names import key_id_digest, length_prefixed
from keys.wrapping import provider
from keys.wrapping.base import Binding

_PRIMARY = ""  # no digest is empty


@dataclass(frozen=True, slots=True)
class OpenKey:
    """An unwrapped AES-256-GCM key: `label` for people and audit, `wire_id` as it stands in payloads."""

    label: str
    wire_id: bytes = field(repr=False)
    aead: AESGCM = field(repr=False)


class KeyCache:
    """Opened keys by (namespace, digest of the key id), all of one policy epoch. None stands for "no such key"."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int, str], tuple[float, OpenKey | None]] = OrderedDict()
        self._epoch = -1
        self._lock = Lock()

    def get(self, place: tuple[int, str], epoch: int) -> tuple[bool, OpenKey | None]:
        """Return (whether it is known, the key)."""
        with self._lock:
            expires, key = self._entries.get(place, (0.0, None))
            known = self._epoch == epoch and time.monotonic() < expires
            return known, key if known else None

    def put(self, place: tuple[int, str], epoch: int, key: OpenKey | None) -> None:
        with self._lock:
            if epoch < self._epoch:
                return
            if epoch > self._epoch:
                self._entries.clear()
                self._epoch = epoch
            self._entries[place] = (time.monotonic() + settings.CODEC_KEY_CACHE_SECONDS, key)
            self._entries.move_to_end(place)
            while len(self._entries) > settings.CODEC_KEY_CACHE_SIZE:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._epoch = -1


cache = KeyCache()


class Keyring:
    """The usable keys of one namespace under one policy epoch."""

    def __init__(self, namespace: Namespace, epoch: int) -> None:
        self.namespace = namespace
        self._epoch = epoch
        self._found: dict[bytes | None, OpenKey | None] = {}

    def encryption_key(self) -> OpenKey | None:
        """Return the primary, or None when the namespace has none. Raises VaultUnavailable."""
        return self._once(None)

    def decryption_key(self, wire_id: bytes) -> OpenKey | None:
        """Return the enabled key with this id, or None. Raises VaultUnavailable."""
        return self._once(wire_id)

    def _once(self, wire_id: bytes | None) -> OpenKey | None:
        """Look each key up once per keyring, that is, per request; None stands for the primary."""
        if wire_id not in self._found:
            self._found[wire_id] = self._find(wire_id)
        return self._found[wire_id]

    def _find(self, wire_id: bytes | None) -> OpenKey | None:
        digest = _PRIMARY if wire_id is None else key_id_digest(wire_id)
        place = (self.namespace.pk, digest)
        known, key = cache.get(place, self._epoch)
        if not known:
            key = self._open(digest, wire_id)
            cache.put(place, self._epoch, key)
        return key

    def _open(self, digest: str, wire_id: bytes | None) -> OpenKey | None:
        versions = KeyVersion.objects.filter(namespace=self.namespace, state=KeyVersion.State.ENABLED)
        wanted = versions.filter(key_id_digest=digest) if wire_id is not None else versions.filter(is_primary=True)
        version = wanted.first()
        if version is None:
            return None
        version.namespace = self.namespace
        wire_id = version.key_id.encode() if wire_id is None else wire_id
        return OpenKey(label=version.key_id, wire_id=wire_id, aead=AESGCM(unwrap(version)))


class RememberedKeys(Keyring):
    """The same for many requests, of what this process remembers only: it asks neither database nor KEK.

    It looks into the cache anew every second, so that no key is used much longer than the cache would keep it.
    Raises NotRemembered.
    """

    _look_again = 0.0

    def _once(self, wire_id: bytes | None) -> OpenKey | None:
        if (now := time.monotonic()) >= self._look_again:
            self._found.clear()
            self._look_again = now + 1
        return super()._once(wire_id)

    def _open(self, digest: str, wire_id: bytes | None) -> OpenKey | None:
        raise NotRemembered("This process does not hold the key now.")


def wrap_new(version: KeyVersion, data_key: bytes) -> None:
    """Fill `kek_id`, `wrapped` and `check_value` of an unsaved version. Raises VaultUnavailable."""
    version.kek_id, version.wrapped = provider(settings.CODEC_KEK).wrap(data_key, binding(version))
    version.check_value = check_value(version, data_key)


def unwrap(version: KeyVersion) -> bytes:
    """Return the 32-byte data key, proven by its check value. Raises VaultUnavailable."""
    data_key = provider(settings.CODEC_KEK).unwrap(version.kek_id, bytes(version.wrapped or b""), binding(version))
    if not hmac.compare_digest(check_value(version, data_key), bytes(version.check_value)):
        raise VaultUnavailable(f"Key version {version.key_id} does not match its check value.")
    return data_key


def check_value(version: KeyVersion, data_key: bytes) -> bytes:
    """Return the 8-byte key-check value; KeyVersion's docstring gives the formula."""
    message = b"codec-kcv-v1" + length_prefixed(version.namespace.name) + length_prefixed(version.key_id)
    return hmac.digest(data_key, message, "sha256")[:8]


def binding(version: KeyVersion) -> Binding:
    """Return what the wrapped key of this version is bound to."""
    return Binding(version.namespace.name, version.key_id, version.number)
