"""Failures of the Payload Codec. Messages name causes and limits, never bytes of a payload or key."""


class PayloadCodecError(Exception):
    """Base: a payload is encoded by this codec, but cannot be decoded, or must not be encoded."""


class UnknownKey(PayloadCodecError):
    """The key source holds no usable key for the id that the payload names."""


class NotDecodable(PayloadCodecError):
    """Truncated, corrupted, or sealed with another key."""


class NotOurs(PayloadCodecError):
    """Given to encode: already `binary/encrypted`, and no key of this source verifies it."""


class LimitExceeded(PayloadCodecError):
    """Too many nested codecs, decompressed bytes or fields. The message is a sentence that callers may show."""
