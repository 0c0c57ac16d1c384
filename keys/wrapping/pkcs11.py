"""An AES-256 key in an HSM, over PKCS#11:
`pkcs11:token=codec;object=codec-kek?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-file=/run/secrets/pin`.

The key is named by the attributes of RFC 7512: token or serial, and object (its label) or id, percent-encoded.
They are the KEK id, in the order token, serial, object, id. The key must be sensitive and not extractable, or it is
refused. The PIN stands in `pin-file`, which not everybody may read, or in the CODEC_PKCS11_PIN secret.
A wrapped key is 61 bytes, made inside the HSM but for the nonce:
0x01 || nonce(12) || CKM_AES_GCM(KEK, nonce, data key, Binding.associated_data) (32 + tag 16).
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, unquote_to_bytes

from django.conf import settings
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import GCMParams, KeyType, Mechanism

from keys.wrapping.base import Binding, KekUnavailable, UnwrapRefused
from keys.wrapping.cryptoki import library
from keys.wrapping.uris import attributes, split_options

_LAYOUT = b"\x01"
_LENGTH = 61
_TAG = 16
_NAMES = ("token", "serial", "object", "id")
HsmKey = Any  # python-pkcs11 gives keys their operations at run time only
T = TypeVar("T")


class Pkcs11Kek:
    """KekProvider over one key of one token. A call whose session has failed opens another, once."""

    def __init__(self, rest: str) -> None:
        """`rest` is the URI behind `pkcs11:`. Raises KekUnavailable."""
        path, self._options = split_options(rest, known=("module-path", "pin-file"))
        self._names = attributes(path, separator=";", known=_NAMES)
        self._kek_id = _kek_id(self._names)
        if "module-path" not in self._options:
            raise KekUnavailable("A pkcs11: URI needs ?module-path=, the PKCS#11 library of the HSM.")
        self._library = library(self._options["module-path"])
        self._key: HsmKey | None = None
        self._generation = -1

    def primary_id(self) -> str:
        return self._kek_id

    def holds(self, kek_id: str) -> bool:
        return kek_id == self._kek_id

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        associated = binding.associated_data(self._kek_id)
        return self._kek_id, self._library.ask(lambda: self._with_key(lambda key: _seal(key, data_key, associated)))

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        if kek_id != self._kek_id:
            raise KekUnavailable(f"The KEK {self._kek_id} is not the KEK {kek_id}.")
        if wrapped[:1] != _LAYOUT or len(wrapped) != _LENGTH:
            raise UnwrapRefused("The wrapped key has an unknown layout.")
        associated = binding.associated_data(kek_id)
        return self._library.ask(lambda: self._with_key(lambda key: _open(key, wrapped, associated)))

    def _with_key(self, use: Callable[[HsmKey], T]) -> T:
        """Return `use` of the key: with the session at hand, and if that has failed with a new one."""
        if self._key is not None and self._generation == self._library.generation:
            try:
                return use(self._key)
            except PKCS11Error:
                self._library.reset()
        try:
            return use(self._find_key())
        except PKCS11Error as error:
            self._library.reset()
            raise KekUnavailable(f"The KEK {self._kek_id} cannot be used: {type(error).__name__}.") from error

    def _find_key(self) -> HsmKey:
        names = {name: unquote_to_bytes(value) for name, value in self._names.items()}
        label, token = self._names.get("object"), self._names.get("token")
        session = self._library.session(
            label=unquote(token) if token else None, serial=names.get("serial"), read_pin=self._pin
        )
        key = session.get_key(
            object_class=ObjectClass.SECRET_KEY,
            key_type=KeyType.AES,
            label=unquote(label) if label else None,
            id=names.get("id"),
        )
        self._refuse_weak(key)
        self._key, self._generation = key, self._library.generation
        return key

    def _refuse_weak(self, key: HsmKey) -> None:
        if key.key_length != 256 or not key[Attribute.SENSITIVE] or key[Attribute.EXTRACTABLE]:
            raise KekUnavailable(f"The KEK {self._kek_id} must be an AES-256 key, sensitive and not extractable.")

    def _pin(self) -> str:
        file = self._options.get("pin-file")
        pin = _read_pin(Path(file)) if file else settings.CODEC_PKCS11_PIN
        if not pin:
            raise KekUnavailable(f"The KEK {self._kek_id} needs a PIN: ?pin-file=, or CODEC_PKCS11_PIN.")
        return pin


def _seal(key: HsmKey, data_key: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(12)
    sealed: bytes = key.encrypt(data_key, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, associated))
    if len(sealed) != len(data_key) + _TAG:
        raise KekUnavailable("The HSM insists on making nonces itself, which is not supported.")
    return _LAYOUT + nonce + sealed


def _open(key: HsmKey, wrapped: bytes, associated: bytes) -> bytes:
    """HSMs do not agree on the error of a wrong tag (SoftHSM 2.6 says CKR_GENERAL_ERROR, opendnssec/SoftHSMv2#689).

    So what it means is found out: if the KEK still opens what it seals, then this wrapped key is at fault.
    """
    try:
        return _decrypt(key, wrapped, associated)
    except PKCS11Error as error:
        _decrypt(key, _seal(key, bytes(32), b"probe"), b"probe")
        raise UnwrapRefused("The HSM does not unwrap this key.") from error


def _decrypt(key: HsmKey, wrapped: bytes, associated: bytes) -> bytes:
    parameters = GCMParams(wrapped[1:13], associated)
    data_key: bytes = key.decrypt(wrapped[13:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    return data_key


def _kek_id(names: dict[str, str]) -> str:
    if not names.keys() & {"token", "serial"} or not names.keys() & {"object", "id"}:
        raise KekUnavailable("A pkcs11: URI needs token= or serial=, and object= or id=.")
    parts = (f"{name}={quote(unquote_to_bytes(names[name]), safe='')}" for name in _NAMES if name in names)
    kek_id = "pkcs11:" + ";".join(parts)
    if len(kek_id) > 255:
        raise KekUnavailable("The names in a pkcs11: URI are too long: 255 characters at most.")
    return kek_id


def _read_pin(file: Path) -> str:
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o007:
            raise KekUnavailable(f"The PIN file {file} must not be open to everybody (chmod o-rwx).")
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KekUnavailable(f"The PIN file {file} cannot be read: {type(error).__name__}.") from error
