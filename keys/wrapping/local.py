"""A ring of KEKs in a file on this machine (`local:/path/to/file`), or in the environment (`local:env`).

Each line is `<KEK id> <32 bytes in base64>`; the first line is the primary, the others only unwrap. A KEK id has
1 to 64 letters, digits, dots, underscores and hyphens. The file must be readable by its owner alone.
`local:env` takes the lines from the CODEC_KEK_RING secret, where a comma may stand for the end of a line.
A wrapped key is 61 bytes:
0x01 || nonce(12) || AES-256-GCM(KEK, nonce, data key, Binding.associated_data) (32 + tag 16).
"""

import base64
import binascii
import os
import re
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from keys.wrapping.base import Binding, KekProvider, KekUnavailable, UnwrapRefused

_LAYOUT = b"\x01"
_KEK_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def local_kek(rest: str) -> KekProvider:
    """Return the provider of `local:<rest>`. A file that is called env is `local:./env`."""
    return EnvironmentKek() if rest == "env" else LocalKek(rest)


class LocalKek:
    """KekProvider over a ring file. The file is read once, at first use."""

    def __init__(self, path: str) -> None:
        self._place = f"The KEK file {path}"
        self._path = Path(path)
        self._ring: dict[str, AESGCM] = {}

    def primary_id(self) -> str:
        return next(iter(self._loaded()))

    def holds(self, kek_id: str) -> bool:
        return kek_id in self._loaded()

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        kek_id, kek = next(iter(self._loaded().items()))
        nonce = os.urandom(12)
        return kek_id, _LAYOUT + nonce + kek.encrypt(nonce, data_key, binding.associated_data(kek_id))

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        kek = self._loaded().get(kek_id)
        if kek is None:
            raise KekUnavailable(f"{self._place} holds no KEK {kek_id}.")
        if wrapped[:1] != _LAYOUT:
            raise UnwrapRefused("The wrapped key has an unknown layout.")
        try:
            return kek.decrypt(wrapped[1:13], wrapped[13:], binding.associated_data(kek_id))
        except (InvalidTag, ValueError) as error:
            raise UnwrapRefused(f"KEK {kek_id} does not unwrap this key.") from error

    def _loaded(self) -> dict[str, AESGCM]:
        if not self._ring:
            ring = _parse(self._lines(), self._place)
            self._ring = {kek_id: AESGCM(key) for kek_id, key in ring.items()}
        return self._ring

    def _lines(self) -> list[str]:
        try:
            if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
                raise KekUnavailable(f"{self._place} must be readable by its owner only (chmod 600).")
            return self._path.read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise KekUnavailable(f"{self._place} cannot be read: {type(error).__name__}.") from error


class EnvironmentKek(LocalKek):
    """KekProvider over the lines of the CODEC_KEK_RING secret."""

    def __init__(self) -> None:
        super().__init__("env")
        self._place = "CODEC_KEK_RING"

    def _lines(self) -> list[str]:
        return (settings.CODEC_KEK_RING or "").replace(",", "\n").splitlines()


def held_keys(rest: str) -> set[bytes]:
    """Return the KEKs of `local:<rest>`, to be compared with other secrets. Raises KekUnavailable."""
    opened = EnvironmentKek() if rest == "env" else LocalKek(rest)
    return set(_parse(opened._lines(), opened._place).values())


def create_ring(path: Path) -> None:
    """Write a new ring with one random KEK (mode 0600). Raises FileExistsError when there is one already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kek_id = "local-" + secrets.token_hex(4)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{kek_id} {base64.b64encode(os.urandom(32)).decode()}\n")
        file.flush()
        os.fsync(descriptor)


def _parse(lines: list[str], place: str) -> dict[str, bytes]:
    entries = [_parse_line(line.strip(), place) for line in lines if line.strip()]
    ring = dict(entries)
    if not ring or len(ring) < len(entries):
        raise KekUnavailable(f"{place} holds no KEK, or two with the same id.")
    return ring


def _parse_line(line: str, place: str) -> tuple[str, bytes]:
    kek_id, _, encoded = line.partition(" ")
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        key = b""
    if not _KEK_ID.fullmatch(kek_id) or len(key) != 32 or len(set(key)) < 8:
        raise KekUnavailable(f"{place} holds a line that is not an id and 32 random bytes in base64.")
    if encoded.strip() == settings.SECRET_KEY:
        raise KekUnavailable(f"{place} holds Django's SECRET_KEY. Each needs a secret of its own.")
    return kek_id, key
