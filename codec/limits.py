"""The limits of this installation, as the Payload Codec and the wire format take them."""

from functools import lru_cache

from django.conf import settings

from codec.payload_codec.chain import Limits
from codec.wire import WireLimits


def decoding_limits() -> Limits:
    return _decoding_limits(
        settings.CODEC_MAX_NESTED_CODECS,
        settings.CODEC_MAX_DECOMPRESSED_PAYLOAD_BYTES,
        settings.CODEC_MAX_DECOMPRESSED_REQUEST_BYTES,
    )


def wire_limits() -> WireLimits:
    return _wire_limits(settings.CODEC_MAX_PAYLOADS, settings.CODEC_MAX_METADATA_ENTRIES)


@lru_cache(maxsize=1)
def _decoding_limits(max_nested: int, max_payload_bytes: int, max_request_bytes: int) -> Limits:
    return Limits(max_nested, max_payload_bytes, max_request_bytes)


@lru_cache(maxsize=1)
def _wire_limits(max_payloads: int, max_metadata_entries: int) -> WireLimits:
    return WireLimits(max_payloads=max_payloads, max_metadata_entries=max_metadata_entries)
