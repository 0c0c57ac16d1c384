"""The payloads in what a person pastes or drops: one of them, a list, or a whole exported history, as JSON.

The Web UI shows the data of an encrypted payload alone, in quotes; pasted, that is a payload that names no key.
"""

import binascii
from dataclasses import dataclass

import orjson
import pybase64
from temporalio.api.common.v1 import Payload

from codec import wire
from codec.documents import Document
from codec.errors import MalformedBody, TooLarge
from codec.payload_codec import aes_gcm
from codec.wire import WireLimits

_LIMITS = WireLimits(max_payloads=100_000)
_MOST_VALUES = 2_000_000  # the JSON of a history of 50,000 events has fewer


class NothingPasted(Exception):
    """There is no payload in it. The message says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """Payloads, and where each stood: the title of its event, or of its part of the document."""

    payloads: list[Payload]
    places: list[str]


def read_pasted(text: bytes) -> Pasted:
    """Return what stands in `text`, in order. Raises NothingPasted."""
    bare = _bare_data(text)
    if bare:
        return Pasted([Payload(metadata={"encoding": aes_gcm.ENCODING}, data=bare)], ["Part 1"])
    try:
        document = Document(wire.parse_json(text, _MOST_VALUES))
        body = orjson.dumps({"payloads": document.payloads})
        payloads = wire.parse_payloads(body, limits=_LIMITS, refuse_unknown_fields=False)
    except (MalformedBody, TooLarge) as error:
        raise NothingPasted(error.detail.replace("The body", "This")) from error
    if not payloads:
        raise NothingPasted("There is no payload in it: nothing with metadata and data.")
    return Pasted(payloads, document.titles())


def _bare_data(text: bytes) -> bytes | None:
    """Return what `text` is the base64 of, quoted or not, if it is long enough to be encrypted."""
    joined = b"".join(text.split()).strip(b'"')
    try:
        data = pybase64.b64decode(joined, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) >= aes_gcm.NONCE_BYTES + aes_gcm.TAG_BYTES else None
