"""Keys by (namespace, key id), and stored keys that were tampered with."""

import hmac
import os
import struct
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys import epoch
from keys.errors import VaultUnavailable
from keys.keyring import Keyring, unwrap
from keys.models import KeyVersion, Namespace
from keys.rotation import create_namespace, import_key, rotate_key
from keys.wrapping import provider
from keys.wrapping.base import Binding
from keys.wrapping.local import create_ring
from tests import canary
from tests.conftest import OPERATOR

NONCE = bytes(12)
SOME_DAY = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def payroll(db) -> Namespace:
    return create_namespace("payroll", actor=OPERATOR)


def seal_with(aead) -> bytes:
    return aead.encrypt(NONCE, b"plaintext", None)


def keyring(namespace: Namespace) -> Keyring:
    """Return the keyring of a request that begins now."""
    return Keyring(namespace, epoch.read())


def tamper(version: KeyVersion, **columns) -> KeyVersion:
    """Write columns of the row as a person at the database could, and read it anew."""
    KeyVersion.objects.filter(pk=version.pk).update(**columns)
    return KeyVersion.objects.select_related("namespace").get(pk=version.pk)


# Finding keys ---------------------------------------------------------------------------------------------------------


def test_primary_encrypts_and_is_found_by_its_id_to_decrypt(payments):
    primary = keyring(payments).encryption_key()
    found = keyring(payments).decryption_key(primary.wire_id)
    assert seal_with(found.aead) == seal_with(primary.aead)
    assert (primary.label, primary.wire_id) == (found.label, found.label.encode())


def test_older_version_still_decrypts_after_a_rotation(payments):
    old = payments.key_versions.get()
    rotate_key(payments, actor=OPERATOR, reason="test")
    assert keyring(payments).decryption_key(old.key_id.encode()).label == old.key_id


@pytest.mark.parametrize("wire_id", [b"", b"nobody", b"CANARY", b"canary ", b"canary\0", b"\xff", b"%", b"c_nary"])
def test_id_that_is_not_there_to_the_letter_is_unknown(payments, canary_key, wire_id):
    assert keyring(payments).decryption_key(wire_id) is None


def test_key_of_another_namespace_is_unknown(canary_key, payroll):
    assert keyring(payroll).decryption_key(b"canary") is None


def test_same_id_in_two_namespaces_finds_each_its_own_key(payments, canary_key, payroll):
    import_key(payroll, "canary", os.urandom(32), primary=False, actor=OPERATOR)
    ours, theirs = (keyring(namespace).decryption_key(b"canary") for namespace in (payments, payroll))
    assert seal_with(ours.aead) != seal_with(theirs.aead)


@pytest.mark.parametrize(
    "state",
    [
        {"state": "DISABLED"},
        {"state": "DESTROY_SCHEDULED", "destroy_at": SOME_DAY},
        {"state": "DESTROYED", "wrapped": None},
    ],
    ids=lambda state: state["state"],
)
def test_key_that_is_not_enabled_is_unknown(payments, canary_key, state):
    tamper(canary_key, is_primary=False, **state)
    assert keyring(payments).decryption_key(b"canary") is None


def test_namespace_without_a_primary_has_no_encryption_key(payments):
    payments.key_versions.update(is_primary=False)
    assert keyring(payments).encryption_key() is None


def test_open_key_shows_no_material(payments, canary_key):
    shown = repr(keyring(payments).decryption_key(b"canary"))
    canary.check("an open key", shown)
    assert shown == "OpenKey(label='canary')"


# What is remembered ---------------------------------------------------------------------------------------------------


@pytest.fixture
def queries(db) -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


def find(namespace: Namespace, epoch_number: int, wire_id: bytes = b"canary"):
    return Keyring(namespace, epoch_number).decryption_key(wire_id)


@pytest.mark.parametrize("wire_id", [b"canary", b"unknown"])
def test_answer_is_remembered_under_the_same_epoch(payments, canary_key, queries, wire_id):
    first = find(payments, 7, wire_id)
    with queries:
        assert find(payments, 7, wire_id) is first
    assert not queries.captured_queries


def test_primary_is_remembered_under_the_same_epoch(payments, queries):
    first = Keyring(payments, 7).encryption_key()
    with queries:
        assert Keyring(payments, 7).encryption_key() is first
    assert not queries.captured_queries


@pytest.mark.parametrize("epoch_number", [6, 8])
def test_nothing_is_remembered_under_another_epoch(payments, canary_key, queries, epoch_number):
    find(payments, 7)
    with queries:
        find(payments, epoch_number)
    assert queries.captured_queries


def test_late_request_of_an_older_epoch_forgets_nothing(payments, canary_key, queries):
    find(payments, 7)
    find(payments, 6)
    with queries:
        find(payments, 7)
    assert not queries.captured_queries


def test_disabled_key_is_gone_with_the_next_epoch(payments, canary_key):
    assert keyring(payments).decryption_key(b"canary")
    tamper(canary_key, state="DISABLED", is_primary=False)
    assert keyring(payments).decryption_key(b"canary") is None


def test_answer_expires(payments, canary_key, queries, settings):
    settings.CODEC_KEY_CACHE_SECONDS = 0
    find(payments, 7)
    with queries:
        find(payments, 7)
    assert queries.captured_queries


def test_oldest_answers_make_room(payments, canary_key, queries, settings):
    settings.CODEC_KEY_CACHE_SIZE = 2
    for wire_id in (b"canary", b"x", b"y"):
        find(payments, 7, wire_id)
    with queries:
        find(payments, 7)
    assert queries.captured_queries


def test_unavailable_vault_is_asked_again(payments, canary_key, settings, tmp_path):
    working, settings.CODEC_KEK = settings.CODEC_KEK, f"local:{tmp_path / 'kek'}"
    with pytest.raises(VaultUnavailable):
        find(payments, 7)
    settings.CODEC_KEK = working
    assert find(payments, 7)


# Tampering ------------------------------------------------------------------------------------------------------------


def test_wrapped_key_of_another_row_does_not_unwrap(payments, canary_key):
    other = rotate_key(payments, actor=OPERATOR, reason="test")
    with pytest.raises(VaultUnavailable):
        unwrap(tamper(canary_key, wrapped=other.wrapped, check_value=other.check_value))


def test_row_moved_to_another_namespace_does_not_unwrap(canary_key, payroll):
    payroll.key_versions.all().delete()
    with pytest.raises(VaultUnavailable):
        unwrap(tamper(canary_key, namespace=payroll))


def test_row_with_another_number_does_not_unwrap(canary_key):
    with pytest.raises(VaultUnavailable):
        unwrap(tamper(canary_key, number=canary_key.number + 1))


def test_row_with_another_key_id_does_not_unwrap(canary_key):
    with pytest.raises(VaultUnavailable):
        unwrap(tamper(canary_key, key_id="another"))


def test_row_with_another_kek_id_does_not_unwrap(canary_key):
    with pytest.raises(VaultUnavailable):
        unwrap(tamper(canary_key, kek_id="another"))


def test_renamed_namespace_does_not_unwrap(payments, canary_key):
    Namespace.objects.filter(pk=payments.pk).update(name="renamed")
    with pytest.raises(VaultUnavailable):
        unwrap(tamper(canary_key))


def test_id_of_another_key_planted_in_the_digest_gives_the_wrong_key_not_the_right_one(payments, canary_key):
    """Lookup goes by digest, which is not bound; what it finds is still the key of its own row."""
    other = rotate_key(payments, actor=OPERATOR, reason="test")
    tamper(canary_key, key_id_digest="0" * 64)
    tamper(other, key_id_digest=canary_key.key_id_digest)
    assert keyring(payments).decryption_key(b"canary").label == other.key_id


# Check value ----------------------------------------------------------------------------------------------------------


def test_check_value_follows_its_formula(canary_key):
    prefixed = b"".join(struct.pack(">I", len(text)) + text for text in (b"payments", b"canary"))
    expected = hmac.digest(canary.DATA_KEY, b"codec-kcv-v1" + prefixed, "sha256")[:8]
    assert bytes(canary_key.check_value) == expected


def test_wrong_check_value_is_refused(canary_key):
    with pytest.raises(VaultUnavailable, match="check value"):
        unwrap(tamper(canary_key, check_value=bytes(8)))


@pytest.mark.parametrize("length", [0, 7])
def test_shortened_check_value_is_refused(canary_key, length):
    with pytest.raises(VaultUnavailable, match="check value"):
        unwrap(tamper(canary_key, check_value=bytes(canary_key.check_value)[:length]))


def test_another_key_wrapped_properly_for_the_row_fails_its_check_value(canary_key):
    binding = Binding("payments", canary_key.key_id, canary_key.number)
    kek_id, wrapped = provider(settings.CODEC_KEK).wrap(os.urandom(32), binding)
    with pytest.raises(VaultUnavailable, match="check value"):
        unwrap(tamper(canary_key, kek_id=kek_id, wrapped=wrapped))


# Without the KEK ------------------------------------------------------------------------------------------------------


def test_missing_kek_file_makes_the_vault_unavailable(payments, canary_key, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    with pytest.raises(VaultUnavailable, match="cannot be read"):
        keyring(payments).decryption_key(b"canary")


def test_kek_of_another_installation_makes_the_vault_unavailable(payments, canary_key, settings, tmp_path):
    create_ring(tmp_path / "kek")
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    with pytest.raises(VaultUnavailable, match="holds no KEK"):
        keyring(payments).encryption_key()
