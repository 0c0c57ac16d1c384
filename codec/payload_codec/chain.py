"""Several codecs around one payload: peeled by what each payload says of itself, wrapped by a namespace's chain.

    Decoder   encrypted(zlib(payload)) -> payload      any nesting of the codecs of this package
    Encoder   payload -> encrypted(zlib(payload))      the steps it was made with, the last one encryption

Make one of either per request: they hold that request's budget and its record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload

from . import aes_gcm, compression
from .aes_gcm import Opening, Seal
from .compression import Compression
from .errors import LimitExceeded, NotDecodable, NotOurs, UnknownKey
from .keysource import Key, KeySource
from .serialized import check_fields, parse_payload

__all__ = ["DEFAULT_STEPS", "ENCRYPTION", "Decoder", "Encoder", "Limits", "Opening", "Seal", "check_steps"]

ENCRYPTION = "aes-gcm"
DEFAULT_STEPS = ("zlib", ENCRYPTION)
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a Decoder goes. Bytes are counted decompressed, each nested codec's again."""

    max_nested: int = 4
    max_payload_bytes: int = 64 * MIB
    max_request_bytes: int = 128 * MIB


DEFAULT_LIMITS = Limits()


class Decoder:
    """Decodes the payloads of one request. `openings` has one entry per layer of encryption opened, in order."""

    def __init__(self, keys: KeySource, limits: Limits = DEFAULT_LIMITS) -> None:
        self.openings: list[Opening] = []
        self._keys = keys
        self._limits = limits
        self._bytes_left = limits.max_request_bytes

    def decode(self, payload: Payload) -> Payload:
        """Return `payload` with every codec of ours taken off; the same object if it has none.

        Raises UnknownKey, NotDecodable or LimitExceeded.
        """
        decoded = payload
        for _ in range(self._limits.max_nested):
            inner = self._peel(decoded)
            if inner is None:
                break
            decoded = inner
        else:
            self._refuse_another_codec(decoded)
        if decoded is not payload:
            _keep_external_payloads(payload, decoded)
        return decoded

    def outer_seal(self, payload: Payload) -> Seal | None:
        """Return the seal of the outermost encryption, which stays closed; None where nothing of ours encrypts.

        Raises NotDecodable or LimitExceeded.
        """
        for _ in range(self._limits.max_nested):
            if aes_gcm.is_ours(payload):
                return aes_gcm.seal_of(payload)
            inner = self._peel(payload)
            if inner is None:
                return None
            payload = inner
        raise LimitExceeded(f"A payload has more than {self._limits.max_nested} nested codecs.")

    def _peel(self, payload: Payload) -> Payload | None:
        """Return what the outermost codec encoded, None if that codec is not one of ours."""
        encoding = payload.metadata.get("encoding", b"")
        if encoding == aes_gcm.ENCODING and aes_gcm.FOREIGN_KEY not in payload.metadata:
            return self._decrypt(payload)
        codec = compression.BY_ENCODING.get(encoding)
        return self._decompress(payload, codec) if codec else None

    def _decrypt(self, payload: Payload) -> Payload:
        serialized, opening = aes_gcm.decrypt(payload, self._keys)
        self.openings.append(opening)
        return parse_payload(serialized)

    def _decompress(self, payload: Payload, codec: Compression) -> Payload:
        serialized = codec.decompress(payload.data, min(self._limits.max_payload_bytes, self._bytes_left))
        self._bytes_left -= len(serialized)
        check_fields(serialized)
        return parse_payload(serialized)

    def _refuse_another_codec(self, payload: Payload) -> None:
        if aes_gcm.is_ours(payload) or payload.metadata.get("encoding") in compression.BY_ENCODING:
            raise LimitExceeded(f"A payload has more than {self._limits.max_nested} nested codecs.")


def _keep_external_payloads(outermost: Payload, decoded: Payload) -> None:
    # Newer SDKs encode a storage reference and put its external_payloads back on the outermost payload:
    # temporalio/sdk-python temporalio/converter/_data_converter.py, _decode_reference_payload_sequence.
    if outermost.external_payloads and not decoded.external_payloads:
        decoded.external_payloads.extend(outermost.external_payloads)


class Encoder:
    """Encodes the payloads of one request with `steps`, a chain that ends in encryption with the primary key.

    `key_labels` names the key of each payload that was encrypted, in order.
    """

    def __init__(self, keys: KeySource, steps: Sequence[str] = DEFAULT_STEPS) -> None:
        """Raises ValueError for a chain that `check_steps` refuses."""
        check_steps(steps)
        self.key_labels: list[str] = []
        self._keys = keys
        self._compressions = [compression.BY_STEP[step] for step in steps[:-1]]
        self._key: Key | None = None

    def encode(self, payload: Payload) -> Payload:
        """Return `payload` compressed where that makes it smaller, and encrypted.

        One that a key of this namespace has encrypted is returned as it is: the Web UI sends those again whenever
        a schedule is edited. Raises NotOurs for any other `binary/encrypted`, UnknownKey without a primary key.
        """
        if aes_gcm.is_encrypted(payload):
            self._verify(payload)
            return payload
        for codec in self._compressions:
            payload = codec.encode(payload)
        key = self._primary()
        self.key_labels.append(key.label)
        return aes_gcm.encrypt(payload, key)

    def _verify(self, payload: Payload) -> None:
        if not aes_gcm.is_ours(payload):
            raise NotOurs("encrypted in another product's format")
        try:
            aes_gcm.decrypt(payload, self._keys)
        except (UnknownKey, NotDecodable) as error:
            raise NotOurs("encrypted, but not with a key of this namespace") from error

    def _primary(self) -> Key:
        self._key = self._key or self._keys.encryption_key()
        if self._key is None:
            raise UnknownKey("there is no primary key")
        return self._key


def check_steps(steps: Sequence[str]) -> None:
    """Raise ValueError unless `steps` are different compressions followed by encryption."""
    if not steps or steps[-1] != ENCRYPTION:
        raise ValueError(f"A chain ends in {ENCRYPTION}: encryption cannot be switched off.")
    if unknown := set(steps[:-1]) - compression.BY_STEP.keys():
        raise ValueError(f"Unknown steps: {', '.join(sorted(unknown))}.")
    if len(set(steps)) < len(steps):
        raise ValueError("A chain names each step once.")
