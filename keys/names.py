"""The naming rule of Temporal namespaces, the storage form of key ids, and names as bytes for MACs."""

import hashlib
import re
import struct

_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def is_namespace_name(text: str) -> bool:
    """True for 1 to 255 letters, digits, dots, underscores and hyphens that start with a letter or digit."""
    return _NAMESPACE.fullmatch(text) is not None


def key_id_digest(wire_id: bytes) -> str:
    """Return the SHA-256 of a key id as it stands in payloads, in hex.

    Key versions are found by this digest alone. Temporal's Java sample writes the key itself as
    the key id, so the id as received must not stand in a column.
    """
    return hashlib.sha256(wire_id).hexdigest()


def length_prefixed(text: str) -> bytes:
    """Return the UTF-8 bytes of `text` after their count as 4 bytes, big-endian."""
    data = text.encode()
    return struct.pack(">I", len(data)) + data
