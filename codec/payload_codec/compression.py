"""`binary/zlib`, `binary/gzip` and `binary/snappy`: a compressed Payload, decompressed within a limit.

A compressed payload:

    metadata["encoding"]  binary/zlib | binary/gzip | binary/snappy
    data                  zlib stream (RFC 1950) | one gzip member (RFC 1952) | snappy block, unframed
                          of the serialized `temporal.api.common.v1.Payload`

Sources: zlib is NewZlibCodec of temporalio/sdk-go converter/codec.go and ZlibPayloadCodec of sdk-java; gzip is
samples-python external_storage/codec.py; snappy is samples-go snappycompress/data_converter.go.

Bytes after the stream are refused, a second gzip member among them: no Temporal codec writes any, and what the
limit and the checksum did not see should not pass as part of a payload.
"""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cramjam
from temporalio.api.common.v1 import Payload

from .errors import LimitExceeded, NotDecodable

ZLIB_STREAM = zlib.MAX_WBITS
GZIP_MEMBER = zlib.MAX_WBITS + 16


@dataclass(frozen=True, slots=True)
class Compression:
    """One compressing codec.

    `decompress(data, limit)` returns at most `limit` bytes. Raises LimitExceeded beyond, having kept no more than
    that in memory twice, and NotDecodable if `data` is not exactly one whole stream.
    """

    encoding: bytes
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]

    def encode(self, payload: Payload) -> Payload:
        """Return `payload` compressed, or `payload` itself when that would not be smaller."""
        serialized = payload.SerializeToString()
        compressed = Payload(metadata={"encoding": self.encoding}, data=self.compress(serialized))
        return compressed if compressed.ByteSize() < len(serialized) else payload


def _inflate(data: bytes, limit: int, *, window_bits: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    try:
        # One byte more than allowed is enough to know, and a stream of exactly `limit` bytes still reaches its end.
        inflated = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise NotDecodable("corrupt zlib or gzip data") from error
    _check_limit(len(inflated), limit)
    if not stream.eof or stream.unused_data:
        raise NotDecodable("truncated zlib or gzip data, or bytes after its end")
    return inflated


def _inflate_zlib(data: bytes, limit: int) -> bytes:
    return _inflate(data, limit, window_bits=ZLIB_STREAM)


def _inflate_gzip(data: bytes, limit: int) -> bytes:
    return _inflate(data, limit, window_bits=GZIP_MEMBER)


def _compress_gzip(serialized: bytes) -> bytes:
    return gzip.compress(serialized, mtime=0)  # the time of encoding is nobody's business


def _compress_snappy(serialized: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(serialized))


def _decompress_snappy(data: bytes, limit: int) -> bytes:
    try:
        # The block begins with its length, and that much is allocated: look before decompressing.
        _check_limit(cramjam.snappy.decompress_raw_len(data), limit)
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise NotDecodable("corrupt snappy data") from error


def _check_limit(size: int, limit: int) -> None:
    if size > limit:
        raise LimitExceeded("A payload decompresses to more bytes than are allowed.")


BY_STEP = {
    "zlib": Compression(b"binary/zlib", zlib.compress, _inflate_zlib),
    "gzip": Compression(b"binary/gzip", _compress_gzip, _inflate_gzip),
    "snappy": Compression(b"binary/snappy", _compress_snappy, _decompress_snappy),
}
BY_ENCODING = {compression.encoding: compression for compression in BY_STEP.values()}
