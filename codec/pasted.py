"""The payloads in what a person pastes or drops: one of them, a list, or a whole exported history, as JSON."""

from collections.abc import Iterator
from typing import Any

import orjson
from temporalio.api.common.v1 import Payload

from codec import wire
from codec.errors import MalformedBody, TooLarge
from codec.wire import WireLimits

_LIMITS = WireLimits(max_payloads=100_000)


class NothingPasted(Exception):
    """There is no payload in it. The message says why, in a sentence."""


def payloads_in(text: bytes) -> list[Payload]:
    """Return every payload in the JSON `text`, in order. Raises NothingPasted."""
    try:
        document = orjson.loads(text)
        found = list(_found(document))
        payloads = wire.parse_payloads(orjson.dumps({"payloads": found}), limits=_LIMITS, refuse_unknown_fields=False)
    except orjson.JSONDecodeError as error:
        raise NothingPasted(f"This is not JSON: line {error.lineno}, column {error.colno}.") from error
    except (MalformedBody, TooLarge) as error:
        raise NothingPasted(error.detail) from error
    if not payloads:
        raise NothingPasted("There is no payload in it: nothing with metadata that names an encoding.")
    return payloads


def _found(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        metadata = value.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("encoding"), str):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _found(item)
