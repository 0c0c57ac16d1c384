"""What an API token looks like: `tcs_`, 43 characters of randomness, 6 of checksum, all of 0-9A-Za-z.

    tcs_ 8Xn0bW4cGv6QkT1yZ3mR5pJ7dL9fH2sA4uE6iO8wB0K 4Z8m40
         256 random bits                             CRC-32 of everything before, big-endian

Both parts are base 62 with leading zeros. A secret scanner finds tokens by REGEX; the checksum lets it, and us, tell a
token from a look-alike and from one that was copied incompletely, without asking a database. It proves nothing else.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

PREFIX = "tcs_"
REGEX = r"\btcs_[0-9A-Za-z]{49}\b"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_BITS = 256
_RANDOM_LENGTH = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_WHOLE = re.compile(r"tcs_[0-9A-Za-z]{49}")


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token in clear. It is shown to a person once and kept nowhere; printing the object does not show it."""

    reveal: str = field(repr=False)

    def __str__(self) -> str:
        return repr(self)


def new_token() -> TokenText:
    body = PREFIX + _base62(secrets.randbits(_RANDOM_BITS), _RANDOM_LENGTH)
    return TokenText(body + _checksum(body))


def is_well_formed(token: str) -> bool:
    """Say whether `token` can be one of ours: complete, and no character mistyped."""
    return bool(_WHOLE.fullmatch(token)) and token[-_CHECKSUM_LENGTH:] == _checksum(token[:-_CHECKSUM_LENGTH])


def digest(token: str) -> str:
    """Return the SHA-256 of a token, in hex: what the database keeps."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    return digits
