"""HMAC-SHA-256 for what is computed for every request.

`hmac.digest` sets the key up anew each time, which costs several times as much as a short message does; here the
state of a key is kept and copied.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

__all__ = ["HMAC", "hmac_sha256", "keyed"]


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SHA-256 (RFC 2104)."""
    state = _start(key).copy()
    state.update(message)
    return state.finalize()


def keyed(key: bytes, beginning: bytes) -> HMAC:
    """Return the state after the beginning of a message, to be copied for each message that begins so."""
    state = _start(key).copy()
    state.update(beginning)
    return state


@lru_cache(maxsize=16)
def _start(key: bytes) -> HMAC:
    return HMAC(key, SHA256())
