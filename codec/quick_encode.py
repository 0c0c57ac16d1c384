"""The common encode in one go: Payloads of metadata and data that nobody has encrypted yet.

As with codec/quick_decode.py, whatever has another shape is left to codec/wire.py and codec/payload_codec/.
"""

import os
from collections.abc import Sequence
from typing import Any

import orjson
import pybase64
from temporalio.api.common.v1 import Payload

from codec.payload_codec.aes_gcm import ENCODING, KEY_ID, NONCE_BYTES
from codec.payload_codec.chain import check_steps
from codec.payload_codec.compression import BY_STEP
from codec.payload_codec.keysource import Key, KeySource
from codec.payload_fields import COMPRESSED, with_data
from codec.quick import Quick, Uncommon, answer_of
from codec.wire import WireLimits, is_modest

_FIELDS = {"metadata", "data"}


class QuickEncoder:
    """Encodes by the steps of a chain. One thread only. It remembers the metadata of the last Payload, serialized."""

    def __init__(self, keys: KeySource, limits: WireLimits, steps: Sequence[str]) -> None:
        """Raises ValueError for a chain that `check_steps` refuses."""
        check_steps(steps)
        of_codec = {codec: metadata for metadata, codec in COMPRESSED.items()}
        self._keys = keys
        self._limits = limits
        self._compressions = [(of_codec[BY_STEP[step]], BY_STEP[step].compress) for step in steps[:-1]]
        self._metadata: dict[str, str] = {}
        self._serialized = b""

    def encode(self, body: bytes) -> Quick | None:
        """Encode a request of the common shape; None for any other. Raises what the keys raise."""
        if not is_modest(body, self._limits.max_separators):
            return None
        try:
            request = orjson.loads(body)
            items = request["payloads"]
            if len(request) != 1 or not 0 < len(items) <= self._limits.max_payloads:
                return None
            return self._encode(items)
        except (KeyError, TypeError, AttributeError, ValueError, Uncommon):
            return None

    def _encode(self, items: list[dict[str, Any]]) -> Quick:
        key = self._keys.encryption_key()
        if key is None:
            raise Uncommon
        start, size, answers = _start_of_answer(key), 0, []
        for item in items:
            if item.keys() != _FIELDS or type(item["data"]) is not str:
                raise Uncommon
            if item["metadata"] != self._metadata:
                self._remember(item["metadata"])
            data = pybase64.b64decode(item["data"], None, True)
            nonce = os.urandom(NONCE_BYTES)
            sealed = key.aead.encrypt(nonce, self._compressed(with_data(self._serialized, data)), None)
            answers.append(b'%b%b"}' % (start, pybase64.b64encode(nonce + sealed)))
            size += len(data)
        return Quick(answer_of(answers), len(answers), size, [key.label] * len(answers), [])

    def _remember(self, metadata: dict[str, str]) -> None:
        if type(metadata) is not dict or len(metadata) > self._limits.max_metadata_entries:
            raise Uncommon
        if not all(type(value) is str for value in metadata.values()):
            raise Uncommon
        entries = {name: pybase64.b64decode(value, None, True) for name, value in metadata.items()}
        if entries.get("encoding") == ENCODING:
            raise Uncommon
        self._serialized = Payload(metadata=entries).SerializeToString()
        self._metadata = metadata

    def _compressed(self, serialized: bytes) -> bytes:
        """Return the serialized Payload through each compression that makes it smaller."""
        for metadata, compress in self._compressions:
            compressed = with_data(metadata, compress(serialized))
            if len(compressed) < len(serialized):
                serialized = compressed
        return serialized


def _start_of_answer(key: Key) -> bytes:
    names = {"encoding": ENCODING, KEY_ID: key.wire_id}
    metadata = {name: pybase64.b64encode_as_string(value) for name, value in names.items()}
    return b'{"metadata":%b,"data":"' % orjson.dumps(metadata)
