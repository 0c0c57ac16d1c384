"""The limits of this installation, as the Payload Codec and the wire format take them."""

from django.conf import settings

from codec.payload_codec.chain import Limits
from codec.wire import WireLimits


def decoding_limits() -> Limits:
    return Limits(
        max_nested=settings.CODEC_MAX_NESTED_CODECS,
        max_payload_bytes=settings.CODEC_MAX_DECOMPRESSED_PAYLOAD_BYTES,
        max_request_bytes=settings.CODEC_MAX_DECOMPRESSED_REQUEST_BYTES,
    )


def wire_limits() -> WireLimits:
    return WireLimits(
        max_payloads=settings.CODEC_MAX_PAYLOADS, max_metadata_entries=settings.CODEC_MAX_METADATA_ENTRIES
    )
