"""The common decode in one go: Payloads that are encrypted once, and perhaps compressed inside.

codec/wire.py and codec/payload_codec/ take a request apart layer by layer, whatever it holds. Almost every request has
this one shape, and for it the layers cost several times what the work does (ADR 10). Whatever has another shape, or is
wrong in any way, is theirs: None says so, and nothing was done.
"""

from typing import Any

import orjson
import pybase64
from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from codec.payload_codec.aes_gcm import ENCODING, KEY_ID, NONCE_BYTES, TAG_BYTES
from codec.payload_codec.chain import Limits
from codec.payload_codec.compression import BY_ENCODING
from codec.payload_codec.errors import LimitExceeded, NotDecodable
from codec.payload_codec.keysource import Key, KeySource
from codec.payload_codec.serialized import check_fields
from codec.payload_fields import COMPRESSED, start_of_data, without_data
from codec.quick import Quick, Uncommon, answer_of
from codec.wire import WireLimits, is_modest

_ENCRYPTED = pybase64.b64encode_as_string(ENCODING)
_OURS = {ENCODING, *BY_ENCODING}
_FIELDS = 2  # of a payload: metadata and data; of its metadata: the encoding and the key id
_LAYERS = 2  # encryption and compression
_NOT_SO = (KeyError, TypeError, AttributeError, ValueError, InvalidTag, DecodeError, NotDecodable, LimitExceeded)


class QuickDecoder:
    """Decodes with these keys. One thread only.

    It remembers how the last serialized Payload began, and as what: most have the metadata of the one before.
    """

    def __init__(self, keys: KeySource, wire_limits: WireLimits, limits: Limits) -> None:
        self._keys = keys
        self._wire_limits = wire_limits
        self._limits = limits
        self._metadata = b""
        self._metadata_json: bytes | None = None
        self._bytes_left = 0

    def decode(self, body: bytes) -> Quick | None:
        """Decode a request of the common shape; None for any other. Raises what the keys raise."""
        if not is_modest(body, self._wire_limits.max_separators):
            return None
        self._bytes_left = self._limits.max_request_bytes
        try:
            items = orjson.loads(body)["payloads"]
            if not 0 < len(items) <= self._wire_limits.max_payloads:
                return None
            return self._decode(items)
        except (*_NOT_SO, Uncommon):
            return None

    def _decode(self, items: list[dict[str, Any]]) -> Quick:
        keys: dict[str, Key] = {}
        size, labels, openings, answers = 0, [], [], []
        for item in items:
            metadata, text = item["metadata"], item["data"]
            if len(item) != _FIELDS or type(metadata) is not dict or len(metadata) != _FIELDS or type(text) is not str:
                raise Uncommon
            if metadata["encoding"] != _ENCRYPTED:
                raise Uncommon
            key = keys.get(metadata[KEY_ID]) or keys.setdefault(metadata[KEY_ID], self._key(metadata[KEY_ID]))
            data = pybase64.b64decode(text, None, True)
            nonce = data[:NONCE_BYTES]
            answers.append(self._answer(key.aead.decrypt(nonce, data[NONCE_BYTES:], None)))
            labels.append(key.label)
            openings.append((key.label, nonce, data[-TAG_BYTES:]))
            size += len(data)
        return Quick(answer_of(answers), len(answers), size, labels, openings)

    def _key(self, wire_id: str) -> Key:
        key = self._keys.decryption_key(pybase64.b64decode(wire_id, None, True))
        if key is None:
            raise Uncommon
        return key

    def _answer(self, plain: bytes) -> bytes:
        """Return the JSON of a serialized Payload."""
        if (answer := self._answer_as_before(plain)) is not None:
            return answer
        for metadata, codec in COMPRESSED.items():
            data = _data_after(metadata, plain)
            if data is not None and self._limits.max_nested >= _LAYERS:
                inner = codec.decompress(data, min(self._limits.max_payload_bytes, self._bytes_left))
                self._bytes_left -= len(inner)
                return self._answer_as_before(inner) or self._parse(inner)
        return self._parse(plain)

    def _answer_as_before(self, plain: bytes) -> bytes | None:
        if self._metadata_json is None or (data := _data_after(self._metadata, plain)) is None:
            return None
        return b'{%b"data":"%b"}' % (self._metadata_json, pybase64.b64encode(data))

    def _parse(self, plain: bytes) -> bytes:
        check_fields(plain)
        payload = Payload.FromString(plain)
        entries, data = payload.metadata, payload.data
        if entries.get("encoding") in _OURS or payload.external_payloads:
            raise Uncommon
        parts = []
        if entries:
            metadata = {name: pybase64.b64encode_as_string(entries[name]) for name in entries}
            parts.append(b'"metadata":%b' % orjson.dumps(metadata))
        if (before := without_data(plain, data)) is not None:
            self._metadata, self._metadata_json = before, b"%b," % parts[0] if parts else b""
        if data:
            parts.append(b'"data":"%b"' % pybase64.b64encode(data))
        return b"{%b}" % b",".join(parts)


def _data_after(metadata: bytes, plain: bytes) -> bytes | None:
    """Return the data of a serialized Payload that has exactly this metadata before it; None for any other."""
    if not plain.startswith(metadata):
        return None
    start = start_of_data(len(plain) - len(metadata))
    if start is None or not plain.startswith(start, len(metadata)):
        return None
    return plain[len(metadata) + len(start) :]
