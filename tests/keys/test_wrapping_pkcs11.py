"""An HSM over PKCS#11: which keys and PINs are taken, how a lost session comes back, what a hung library costs."""

import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.exceptions import AttributeSensitive

from keys.wrapping import cryptoki, provider_of
from keys.wrapping.base import Binding, KekUnavailable
from keys.wrapping.cryptoki import library
from keys.wrapping.pkcs11 import Pkcs11Kek, _seal
from tests import canary
from tests.kms import PIN, Hsm

BINDING = Binding("payments", "7-abcdefgh", 7)
DATA_KEY = canary.DATA_KEY


@pytest.fixture
def kek(hsm: Hsm) -> Pkcs11Kek:
    found = provider_of(hsm.uri("first"))
    assert isinstance(found, Pkcs11Kek)
    return found


@pytest.fixture
def logged_out(hsm: Hsm):
    """The next call opens its session anew."""
    library(str(hsm.library)).reset()
    yield
    library(str(hsm.library)).reset()


# The key --------------------------------------------------------------------------------------------------------------


def test_wrapped_key_has_the_documented_layout(kek):
    kek_id, wrapped = kek.wrap(DATA_KEY, BINDING)
    assert (kek_id, len(wrapped), wrapped[:1]) == ("pkcs11:token=codec;object=first", 61, b"\x01")


def test_key_is_sealed_inside_the_hsm(kek):
    kek.wrap(DATA_KEY, BINDING)
    with pytest.raises(AttributeSensitive):
        kek._library.ask(lambda: kek._key[Attribute.VALUE])


def test_associated_data_is_that_of_the_binding(hsm, kek):
    """A key of the HSM that is known opens what its layout says: nonce, ciphertext, tag, associated data."""
    known = bytes(range(32))
    kek.wrap(DATA_KEY, BINDING)
    sealed = kek._library.ask(lambda: seal_with(kek._key.session, known, BINDING.associated_data("kek")))
    assert AESGCM(known).decrypt(sealed[1:13], sealed[13:], BINDING.associated_data("kek")) == DATA_KEY


def seal_with(session, known: bytes, associated: bytes) -> bytes:
    template = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.VALUE: known}
    key = session.create_object({**template, Attribute.ENCRYPT: True, Attribute.TOKEN: False})
    return _seal(key, DATA_KEY, associated)


@pytest.mark.parametrize("label", ["extractable", "short"])
def test_key_that_can_leave_the_hsm_or_is_short_is_refused(hsm, label):
    with pytest.raises(KekUnavailable, match="must be an AES-256 key, sensitive and not extractable"):
        provider_of(hsm.uri(label)).wrap(DATA_KEY, BINDING)


@pytest.mark.parametrize(("label", "token"), [("nowhere", "codec"), ("first", "nowhere")])
def test_key_or_token_that_is_not_there_is_unavailable(hsm, label, token):
    with pytest.raises(KekUnavailable, match=r"NoSuch(Key|Token)"):
        provider_of(hsm.uri(label, token)).wrap(DATA_KEY, BINDING)


def test_key_can_be_named_by_id_and_token_by_serial(hsm, kek):
    kek.wrap(DATA_KEY, BINDING)
    serial = kek._library.ask(lambda: kek._key.session.token.serial).decode()
    named = provider_of(hsm.uri("first").replace("token=codec;object=first", f"serial={serial};id=%66irst"))
    assert named.primary_id() == f"pkcs11:serial={serial};id=first"
    assert named.unwrap(*named.wrap(DATA_KEY, BINDING), BINDING) == DATA_KEY


# The PIN --------------------------------------------------------------------------------------------------------------


def with_pin_file(hsm: Hsm, file: Path | str) -> str:
    return hsm.uri("first").replace(str(hsm.pin_file), str(file))


@pytest.fixture
def pin_file(tmp_path: Path) -> Path:
    file = tmp_path / "pin"
    file.touch(0o600)
    return file


def test_refused_pin_is_not_tried_again_until_it_changes(hsm, pin_file, logged_out):
    pin_file.write_text("canary-wrong-pin")
    kek = provider_of(with_pin_file(hsm, pin_file))
    for message in ("refuses the PIN: PinIncorrect", "has refused this PIN. It is not tried again"):
        with pytest.raises(KekUnavailable, match=message) as refusal:
            kek.wrap(DATA_KEY, BINDING)
        assert "canary-wrong-pin" not in str(refusal.value)
    pin_file.write_text(PIN)
    assert kek.wrap(DATA_KEY, BINDING)


def test_pin_may_be_a_secret_setting(hsm, settings, logged_out):
    settings.CODEC_PKCS11_PIN = PIN
    assert provider_of(hsm.uri("first").partition("&pin-file")[0]).wrap(DATA_KEY, BINDING)


def test_no_pin_is_unavailable(hsm, logged_out):
    with pytest.raises(KekUnavailable, match="needs a PIN"):
        provider_of(hsm.uri("first").partition("&pin-file")[0]).wrap(DATA_KEY, BINDING)


@pytest.mark.parametrize(("mode", "message"), [(0o604, "chmod o-rwx"), (0o601, "chmod o-rwx")])
def test_pin_file_open_to_everybody_is_refused(hsm, pin_file, logged_out, mode, message):
    pin_file.write_text(PIN)
    pin_file.chmod(mode)
    with pytest.raises(KekUnavailable, match=message):
        provider_of(with_pin_file(hsm, pin_file)).wrap(DATA_KEY, BINDING)


def test_missing_pin_file_is_unavailable(hsm, logged_out):
    with pytest.raises(KekUnavailable, match="FileNotFoundError"):
        provider_of(with_pin_file(hsm, "/nowhere/pin")).wrap(DATA_KEY, BINDING)


# Sessions and the library ---------------------------------------------------------------------------------------------


def test_lost_session_is_opened_again_within_the_call(kek):
    wrapped = kek.wrap(DATA_KEY, BINDING)
    kek._library.ask(kek._key.session.close)
    assert kek.unwrap(*wrapped, BINDING) == DATA_KEY


def test_token_that_was_away_is_found_again(hsm, kek):
    wrapped = kek.wrap(DATA_KEY, BINDING)
    with hsm.without_token(), pytest.raises(KekUnavailable):
        kek.unwrap(*wrapped, BINDING)
    assert kek.unwrap(*wrapped, BINDING) == DATA_KEY


def test_two_keys_of_a_token_stay_apart_when_the_library_starts_again(hsm, kek):
    other = provider_of(hsm.uri("second"))
    wrapped, others = kek.wrap(DATA_KEY, BINDING), other.wrap(DATA_KEY[::-1], BINDING)
    kek._library.ask(kek._key.session.close)
    assert other.unwrap(*others, BINDING) == DATA_KEY[::-1]
    assert kek.unwrap(*wrapped, BINDING) == DATA_KEY
    assert kek.wrap(DATA_KEY, BINDING)[0] != other.wrap(DATA_KEY, BINDING)[0]


def test_library_that_hangs_is_unavailable_in_time(kek, monkeypatch):
    monkeypatch.setattr(cryptoki, "SECONDS", 0.2)
    go_on, began = threading.Event(), time.monotonic()
    with pytest.raises(KekUnavailable, match="does not answer"):
        kek._library.ask(go_on.wait)
    with pytest.raises(KekUnavailable, match="does not answer"):
        kek.wrap(DATA_KEY, BINDING)
    assert time.monotonic() - began < 2
    go_on.set()


@pytest.mark.parametrize("path", ["/nowhere/library.so", "/etc/passwd"])
def test_library_that_cannot_be_loaded_is_unavailable(path):
    with pytest.raises(KekUnavailable, match="cannot be loaded"):
        Pkcs11Kek(f"token=codec;object=first?module-path={path}").wrap(DATA_KEY, BINDING)


# The URI --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "token=codec",
        "object=kek",
        "token=codec;object=kek",
        "token=codec;object=kek?pin-file=/pin",
        "token=codec;object=kek;pin-value=canary-pin?module-path=/x",
        "token=codec;object=kek?module-path=/x&pin-value=canary-pin",
        "token=codec;object=a;object=b?module-path=/x",
        f"token=codec;object={'x' * 240}?module-path=/x",
    ],
)
def test_uri_that_is_wrong_is_refused_without_showing_a_pin(rest):
    with pytest.raises(KekUnavailable, match=r"pkcs11: URI|URI of CODEC_KEK") as refusal:
        Pkcs11Kek(rest)
    assert "canary-pin" not in str(refusal.value)


def test_kek_id_does_not_depend_on_how_the_uri_is_written():
    written = [
        "token=My%20HSM;object=kek?module-path=/x",
        "object=k%65k;token=%4Dy%20HSM?module-path=/y&pin-file=/p",
    ]
    assert {Pkcs11Kek(rest).primary_id() for rest in written} == {"pkcs11:token=My%20HSM;object=kek"}
