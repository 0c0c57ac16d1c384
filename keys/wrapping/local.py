"""A ring of KEKs in a file on this machine.

Each line is `<KEK id> <32 bytes in base64>`; the first line is the primary, the others only unwrap.
The file must be readable by its owner alone. A wrapped key is 61 bytes:
0x01 || nonce(12) || AES-256-GCM(KEK, nonce, data key, Binding.associated_data) (32 + tag 16).
"""

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.wrapping.base import Binding, KekUnavailable, UnwrapRefused

_LAYOUT = b"\x01"


class LocalKek:
    """KekProvider over a ring file. The file is read once, at first use."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._ring: dict[str, AESGCM] = {}

    def primary_id(self) -> str:
        return next(iter(self._loaded()))

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        kek_id, kek = next(iter(self._loaded().items()))
        nonce = os.urandom(12)
        return kek_id, _LAYOUT + nonce + kek.encrypt(nonce, data_key, binding.associated_data(kek_id))

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        kek = self._loaded().get(kek_id)
        if kek is None:
            raise KekUnavailable(f"The KEK ring in {self._path} holds no KEK {kek_id}.")
        if wrapped[:1] != _LAYOUT:
            raise UnwrapRefused("The wrapped key has an unknown layout.")
        try:
            return kek.decrypt(wrapped[1:13], wrapped[13:], binding.associated_data(kek_id))
        except (InvalidTag, ValueError) as error:
            raise UnwrapRefused(f"KEK {kek_id} does not unwrap this key.") from error

    def _loaded(self) -> dict[str, AESGCM]:
        if not self._ring:
            self._ring = {kek_id: AESGCM(key) for kek_id, key in _read_ring(self._path).items()}
        return self._ring


def create_ring(path: Path) -> None:
    """Write a new ring with one random KEK (mode 0600). Raises FileExistsError when there is one already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kek_id = "local-" + secrets.token_hex(4)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{kek_id} {base64.b64encode(os.urandom(32)).decode()}\n")
        file.flush()
        os.fsync(descriptor)


def _read_ring(path: Path) -> dict[str, bytes]:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KekUnavailable(f"The KEK file {path} must be readable by its owner only (chmod 600).")
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KekUnavailable(f"The KEK file {path} cannot be read: {type(error).__name__}.") from error
    entries = [_parse_line(line, path) for line in lines if line.strip()]
    ring = dict(entries)
    if not ring or len(ring) < len(entries):
        raise KekUnavailable(f"The KEK file {path} holds no KEK, or two with the same id.")
    return ring


def _parse_line(line: str, path: Path) -> tuple[str, bytes]:
    kek_id, _, encoded = line.partition(" ")
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        key = b""
    if not kek_id or len(key) != 32 or len(set(key)) < 8:
        raise KekUnavailable(f"The KEK file {path} holds a line that is not an id and 32 random bytes in base64.")
    return kek_id, key
