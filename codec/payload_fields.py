"""A serialized Payload, put together and recognised without making a message of it (codec/quick_decode.py).

Payload   metadata* data     each metadata entry and the data are fields; ours come in this order
data      0x12 size bytes    size is a varint: 7 bits a byte, lowest first, the top bit says that more follow
"""

from functools import lru_cache

from temporalio.api.common.v1 import Payload

from codec.payload_codec.compression import BY_ENCODING, Compression

_DATA = b"\x12"
_WIDEST = 5  # bytes of a size


def with_data(metadata: bytes, data: bytes) -> bytes:
    """Return the serialized Payload of serialized metadata and data."""
    return b"%b%b%b" % (metadata, _tag_and_size(len(data)), data) if data else metadata


@lru_cache(maxsize=4096)
def start_of_data(length: int) -> bytes | None:
    """Return tag and size of a data field that is `length` bytes with them; None where there is none, or no data."""
    for width in range(1, _WIDEST + 1):
        size = length - len(_DATA) - width
        if size > 0 and len(_varint(size)) == width:
            return _tag_and_size(size)
    return None


def without_data(serialized: bytes, data: bytes) -> bytes | None:
    """Return what stands before the data; None when that is not the last field, or not written in the usual way.

    Raises google.protobuf.message.DecodeError where what stands before does not end with a field.
    """
    start = _tag_and_size(len(data))
    if not data or not serialized.endswith(data) or not serialized.endswith(start, 0, len(serialized) - len(data)):
        return None
    metadata = serialized[: len(serialized) - len(data) - len(start)]
    Payload.FromString(metadata)
    return metadata


@lru_cache(maxsize=4096)
def _tag_and_size(size: int) -> bytes:
    return _DATA + _varint(size)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


COMPRESSED: dict[bytes, Compression] = {
    Payload(metadata={"encoding": encoding}).SerializeToString(): codec for encoding, codec in BY_ENCODING.items()
}
"""The serialized metadata of compressed Payloads, with their codecs."""
