"""The payloads in what a person pastes or drops: one of them, a list, or a whole exported history, as JSON.

The Web UI shows the data of an encrypted payload alone, in quotes; pasted, that is a payload that names no key.
"""

import binascii
from collections.abc import Iterator
from typing import Any

import orjson
import pybase64
from temporalio.api.common.v1 import Payload

from codec import wire
from codec.errors import MalformedBody, TooLarge
from codec.payload_codec import aes_gcm
from codec.wire import WireLimits

_LIMITS = WireLimits(max_payloads=100_000)
_MOST_VALUES = 2_000_000  # the JSON of a history of 50,000 events has fewer


class NothingPasted(Exception):
    """There is no payload in it. The message says why, in a sentence."""


def payloads_in(text: bytes) -> list[Payload]:
    """Return every payload in `text`, in order. Raises NothingPasted."""
    bare = _bare_data(text)
    payloads = [Payload(metadata={"encoding": aes_gcm.ENCODING}, data=bare)] if bare else _parsed(text)
    if not payloads:
        raise NothingPasted("There is no payload in it: nothing with metadata that names an encoding.")
    return payloads


def _bare_data(text: bytes) -> bytes | None:
    """Return what `text` is the base64 of, quoted or not, if it is long enough to be encrypted."""
    joined = b"".join(text.split()).strip(b'"')
    try:
        data = pybase64.b64decode(joined, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) >= aes_gcm.NONCE_BYTES + aes_gcm.TAG_BYTES else None


def _parsed(text: bytes) -> list[Payload]:
    if not wire.is_modest(text, _MOST_VALUES):
        raise NothingPasted("This has more values than a history can have.")
    try:
        found = list(_found(orjson.loads(text)))
        return wire.parse_payloads(orjson.dumps({"payloads": found}), limits=_LIMITS, refuse_unknown_fields=False)
    except orjson.JSONDecodeError as error:
        raise NothingPasted(f"This is not JSON: line {error.lineno}, column {error.colno}.") from error
    except (MalformedBody, TooLarge) as error:
        raise NothingPasted(error.detail) from error


def _found(document: Any) -> Iterator[dict[str, Any]]:
    """Yield whatever looks like a payload, in order: an object whose metadata names an encoding."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            metadata = value.get("metadata")
            if isinstance(metadata, dict) and isinstance(metadata.get("encoding"), str):
                yield value
                continue
            value = list(value.values())
        if isinstance(value, list):
            waiting += reversed(value)
