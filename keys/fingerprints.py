"""Who has seen this payload? Every layer of encryption that is opened leaves a fingerprint in the audit.

    fingerprint = HMAC-SHA256(fingerprint key, lp(namespace) || lp(key id) || nonce || tag)[:16]

lp being a 4-byte big-endian length and the UTF-8 text. It takes neither plaintext nor ciphertext to compare, and
tells nothing of either: nonce (12 bytes) and tag (16) stand at the ends of the payload's data. The fingerprint key
is HMAC-SHA256(audit key, "fingerprint-v1").
"""

from collections.abc import Iterable
from functools import lru_cache

from django.conf import settings

from keys.keyed_digest import HMAC, hmac_sha256, keyed
from keys.names import length_prefixed

SIZE = 16


def fingerprint(namespace: str, key_id: str, nonce: bytes, tag: bytes) -> bytes:
    """Return the 16 bytes that stand for one encrypted payload."""
    return pack(namespace, [(key_id, nonce, tag)])


def pack(namespace: str, openings: Iterable[tuple[str, bytes, bytes]]) -> bytes:
    """Return the fingerprints of encrypted payloads, given as (key id, nonce, tag), side by side."""
    audit_key, found = settings.CODEC_AUDIT_KEY, []
    for key_id, nonce, tag in openings:
        state = _start(audit_key, namespace, key_id).copy()
        state.update(nonce + tag)
        found.append(state.finalize()[:SIZE])
    return b"".join(found)


def unpack(packed: bytes) -> list[bytes]:
    """Return the fingerprints that a record holds side by side."""
    return [packed[start : start + SIZE] for start in range(0, len(packed), SIZE)]


@lru_cache(maxsize=1024)
def _start(audit_key: str, namespace: str, key_id: str) -> HMAC:
    """Return the state of HMAC after what all fingerprints of one key begin with."""
    key = hmac_sha256(bytes.fromhex(audit_key), b"fingerprint-v1")
    return keyed(key, length_prefixed(namespace) + length_prefixed(key_id))
