"""Wrapping data keys: one file per KEK provider, chosen by the scheme of the CODEC_KEK setting."""

from functools import cache

from keys.wrapping.base import KekProvider, KekUnavailable
from keys.wrapping.local import LocalKek


@cache
def provider(uri: str) -> KekProvider:
    """Return the provider that `uri` (CODEC_KEK) names. One instance per URI and process."""
    scheme, _, rest = uri.partition(":")
    if scheme == "local" and rest:
        return LocalKek(rest)
    raise KekUnavailable("CODEC_KEK names no KEK provider that this server knows.")
