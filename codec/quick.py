"""The common decode in one go: Payloads that are encrypted once, and hold none of our codecs inside.

codec/wire.py and codec/payload_codec/ take a request apart layer by layer, whatever it holds. Almost every request has
this one shape, and for it the layers cost several times what the work does (ADR 10). Whatever has another shape, or is
wrong in any way, is theirs: None says so, and nothing was done.
"""

from collections.abc import Iterable
from typing import NamedTuple

import orjson
import pybase64
from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from codec.payload_codec.aes_gcm import ENCODING, KEY_ID, NONCE_BYTES, TAG_BYTES, Opening
from codec.payload_codec.compression import BY_ENCODING
from codec.payload_codec.keysource import KeySource
from codec.wire import WireLimits, is_modest

_ENCRYPTED = pybase64.b64encode_as_string(ENCODING)
_OURS = {ENCODING, *BY_ENCODING}
_FIELDS = 2  # of a payload: metadata and data; of its metadata: the encoding and the key id


class Quick(NamedTuple):
    """The answer in JSON; how many payloads and bytes of data came; what was opened, in order."""

    answer: bytes
    payloads: int
    size: int
    openings: list[Opening]


def decode_common(body: bytes, keys: KeySource, limits: WireLimits) -> Quick | None:
    """Decode a request of the common shape; None for any other. Raises what `keys` raises."""
    if not is_modest(body, limits.max_separators):
        return None
    try:
        items = orjson.loads(body)["payloads"]
        if not 0 < len(items) <= limits.max_payloads:
            return None
        return _decode(items, keys)
    except (KeyError, TypeError, AttributeError, ValueError, InvalidTag, DecodeError, _Uncommon):
        return None


class _Uncommon(Exception):
    pass


def _decode(items: list[dict[str, object]], keys: KeySource) -> Quick:
    size, openings, answers = 0, [], []
    for metadata, text in _fields(items):
        data = pybase64.b64decode(text, None, True)
        key = keys.decryption_key(pybase64.b64decode(metadata[KEY_ID], None, True))
        if key is None or metadata["encoding"] != _ENCRYPTED:
            raise _Uncommon
        nonce = data[:NONCE_BYTES]
        answers.append(_answer(Payload.FromString(key.aead.decrypt(nonce, memoryview(data)[NONCE_BYTES:], None))))
        openings.append(Opening(key.label, nonce, data[-TAG_BYTES:]))
        size += len(data)
    return Quick(orjson.dumps({"payloads": answers}), len(answers), size, openings)


def _fields(items: list[dict[str, object]]) -> Iterable[tuple[dict[str, str], str]]:
    for item in items:
        metadata, data = item["metadata"], item["data"]
        if len(item) != _FIELDS or not isinstance(metadata, dict) or len(metadata) != _FIELDS or type(data) is not str:
            raise _Uncommon
        yield metadata, data


def _answer(payload: Payload) -> dict[str, object]:
    entries, data = payload.metadata, payload.data
    if entries.get("encoding") in _OURS or payload.external_payloads:
        raise _Uncommon
    answer: dict[str, object] = {}
    if entries:
        answer["metadata"] = {name: pybase64.b64encode_as_string(entries[name]) for name in entries}
    if data:
        answer["data"] = pybase64.b64encode_as_string(data)
    return answer
