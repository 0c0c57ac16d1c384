"""The serialized inner payload: what stands, as protobuf, inside an encrypted or compressed one."""

from enum import IntEnum

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from .errors import LimitExceeded, NotDecodable

MAX_FIELDS = 1000
SMALLEST_FIELD_BYTES = 2
LONGEST_VARINT_BITS = 64


class WireType(IntEnum):
    """How long a field is (https://protobuf.dev/programming-guides/encoding/). Groups are not among them."""

    VARINT = 0
    FIXED64 = 1
    LENGTH_DELIMITED = 2
    FIXED32 = 5


def parse_payload(serialized: bytes) -> Payload:
    """Return the payload. Raises NotDecodable if the bytes are not a Payload."""
    try:
        return Payload.FromString(serialized)
    except DecodeError as error:
        raise NotDecodable("what was encoded is not a Payload") from error


def check_fields(serialized: bytes) -> None:
    """Refuse more than MAX_FIELDS top-level fields, before protobuf makes an object of each.

    64 MiB of two-byte external_payloads take 64 KiB compressed and would become a gigabyte of objects.
    Raises LimitExceeded, or NotDecodable where the fields cannot be told apart.
    """
    if len(serialized) <= MAX_FIELDS * SMALLEST_FIELD_BYTES:
        return
    position = fields = 0
    try:
        while position < len(serialized):
            position = _after_field(serialized, position)
            fields += 1
            if fields > MAX_FIELDS:
                raise LimitExceeded(f"A compressed payload has more than {MAX_FIELDS} fields.")
    except IndexError as error:
        raise NotDecodable("what was encoded is not a Payload") from error


def _after_field(serialized: bytes, position: int) -> int:
    """Return the position after the field that begins at `position`. Raises IndexError where a varint is cut off."""
    tag, position = _read_varint(serialized, position)
    match tag & 0b111:
        case WireType.VARINT:
            return _read_varint(serialized, position)[1]
        case WireType.FIXED64:
            return position + 8
        case WireType.LENGTH_DELIMITED:
            length, position = _read_varint(serialized, position)
            return position + length
        case WireType.FIXED32:
            return position + 4
    raise NotDecodable("what was encoded is not a Payload")


def _read_varint(serialized: bytes, position: int) -> tuple[int, int]:
    """Return the number that begins at `position`, and the position after it."""
    value = 0
    for shift in range(0, LONGEST_VARINT_BITS, 7):
        byte = serialized[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise NotDecodable("what was encoded is not a Payload")
