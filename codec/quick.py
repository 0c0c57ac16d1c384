"""The common decode in one go: Payloads that are encrypted once, and hold none of our codecs inside.

codec/wire.py and codec/payload_codec/ take a request apart layer by layer, whatever it holds. Almost every request has
this one shape, and for it the layers cost several times what the work does (ADR 10). Whatever has another shape, or is
wrong in any way, is theirs: None says so, and nothing was done.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import pybase64
from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from codec.payload_codec.aes_gcm import ENCODING, KEY_ID, NONCE_BYTES, TAG_BYTES
from codec.payload_codec.compression import BY_ENCODING
from codec.payload_codec.keysource import Key, KeySource
from codec.wire import WireLimits, is_modest

_ENCRYPTED = pybase64.b64encode_as_string(ENCODING)
_OURS = {ENCODING, *BY_ENCODING}
_DATA = b"\x12"  # the tag of a Payload's field 2
_FIELDS = 2  # of a payload: metadata and data; of its metadata: the encoding and the key id


class Quick(NamedTuple):
    """The answer in JSON; how many payloads and bytes of data came; what was opened: key label, nonce and tag."""

    answer: bytes
    payloads: int
    size: int
    openings: list[tuple[str, bytes, bytes]]


class QuickDecoder:
    """Decodes with these keys. One thread only.

    It remembers how the last serialized Payload began, and as what: most have the metadata of the one before.
    """

    def __init__(self, keys: KeySource, limits: WireLimits) -> None:
        self._keys = keys
        self._limits = limits
        self._metadata = b""
        self._metadata_json: bytes | None = None

    def decode(self, body: bytes) -> Quick | None:
        """Decode a request of the common shape; None for any other. Raises what the keys raise."""
        if not is_modest(body, self._limits.max_separators):
            return None
        try:
            items = orjson.loads(body)["payloads"]
            if not 0 < len(items) <= self._limits.max_payloads:
                return None
            return self._decode(items)
        except (KeyError, TypeError, AttributeError, ValueError, InvalidTag, DecodeError, _Uncommon):
            return None

    def _decode(self, items: list[dict[str, Any]]) -> Quick:
        keys: dict[str, Key] = {}
        size, openings, answers = 0, [], []
        for item in items:
            metadata, text = item["metadata"], item["data"]
            if len(item) != _FIELDS or type(metadata) is not dict or len(metadata) != _FIELDS or type(text) is not str:
                raise _Uncommon
            if metadata["encoding"] != _ENCRYPTED:
                raise _Uncommon
            key = keys.get(metadata[KEY_ID]) or keys.setdefault(metadata[KEY_ID], self._key(metadata[KEY_ID]))
            data = pybase64.b64decode(text, None, True)
            nonce = data[:NONCE_BYTES]
            answers.append(self._answer(key.aead.decrypt(nonce, data[NONCE_BYTES:], None)))
            openings.append((key.label, nonce, data[-TAG_BYTES:]))
            size += len(data)
        return Quick(b'{"payloads":[%b]}' % b",".join(answers), len(answers), size, openings)

    def _key(self, wire_id: str) -> Key:
        key = self._keys.decryption_key(pybase64.b64decode(wire_id, None, True))
        if key is None:
            raise _Uncommon
        return key

    def _answer(self, plain: bytes) -> bytes:
        """Return the JSON of a serialized Payload."""
        end = len(self._metadata)
        if self._metadata_json is not None and plain.startswith(self._metadata):
            start = _start_of_data(len(plain) - end)
            if start is not None and plain.startswith(start, end):
                return b'{%b"data":"%b"}' % (self._metadata_json, pybase64.b64encode(plain[end + len(start) :]))
        return self._parse(plain)

    def _parse(self, plain: bytes) -> bytes:
        payload = Payload.FromString(plain)
        entries, data = payload.metadata, payload.data
        if entries.get("encoding") in _OURS or payload.external_payloads:
            raise _Uncommon
        parts = []
        if entries:
            metadata = {name: pybase64.b64encode_as_string(entries[name]) for name in entries}
            parts.append(b'"metadata":%b' % orjson.dumps(metadata))
        if data:
            self._remember(plain, data, b"".join([*parts, b","]) if parts else b"")
            parts.append(b'"data":"%b"' % pybase64.b64encode(data))
        return b"{%b}" % b",".join(parts)

    def _remember(self, plain: bytes, data: bytes, metadata_json: bytes) -> None:
        """Keep what stands before the data, when the data is the last field, written in the usual way."""
        metadata = plain[: len(plain) - len(data)].removesuffix(_DATA + _varint(len(data)))
        if plain.endswith(data) and len(metadata) + len(data) < len(plain):
            Payload.FromString(metadata)  # raises where a field is not at its end there
            self._metadata, self._metadata_json = metadata, metadata_json


@lru_cache(maxsize=4096)
def _start_of_data(length: int) -> bytes | None:
    """Return tag and size of a data field that is `length` bytes with them; None where there is none, or no data."""
    for width in range(1, 6):
        size = _varint(max(length - 1 - width, 0))
        if len(size) == width and length > 1 + width:
            return _DATA + size
    return None


def _varint(number: int) -> bytes:
    """Return the number as protobuf writes sizes: 7 bits a byte, lowest first; the top bit says that more follow."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


class _Uncommon(Exception):
    pass
