"""Creating, rotating and importing keys: what changes, what is refused, and that each change is recorded or undone."""

import os
import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import DatabaseError

from keys import epoch
from keys.audit import AuditAction
from keys.errors import (
    AlreadyExists,
    InvalidKey,
    InvalidName,
    NoSuchNamespace,
    ReasonRequired,
    VaultUnavailable,
)
from keys.keyring import Keyring, unwrap
from keys.models import AuditRecord, KeyVersion, Namespace
from keys.rotation import create_namespace, find_namespace, import_key, rotate_key
from tests import canary
from tests.conftest import OPERATOR
from tests.database import every_column

JAVA_SAMPLE_KEY = canary.DATA_KEY.decode()  # in Temporal's Java sample the id is the key


def keyring(namespace: Namespace) -> Keyring:
    return Keyring(namespace, epoch.read())


def last_record(action: AuditAction) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


def take_in(namespace: Namespace, key_id: str = "worker", data_key: bytes | None = None, *, primary: bool = False):
    return import_key(namespace, key_id, data_key or os.urandom(32), primary=primary, actor=OPERATOR)


# create ---------------------------------------------------------------------------------------------------------------


def test_new_namespace_has_one_enabled_primary(db):
    version = create_namespace("payroll", actor=OPERATOR).key_versions.get()
    assert (version.number, version.is_primary, version.state, version.origin) == (1, True, "ENABLED", "generated")


def test_generated_id_is_the_number_and_eight_random_characters(payments):
    first = payments.key_versions.get()
    second = rotate_key(payments, actor=OPERATOR, reason="test")
    assert re.fullmatch(r"1-[a-z2-7]{8}", first.key_id)
    assert re.fullmatch(r"2-[a-z2-7]{8}", second.key_id)


def test_creating_is_recorded(payments):
    version = payments.key_versions.get()
    assert last_record(AuditAction.NAMESPACE_CREATED).namespace == "payments"
    details = last_record(AuditAction.KEY_CREATED).details
    assert details == {"key_id": version.key_id, "kek_id": version.kek_id, "reason": "first key of the namespace"}


@pytest.mark.parametrize("name", ["", "a b", "../etc", "a\n", "ä", "x" * 256])
def test_name_that_is_none_is_refused(db, name):
    with pytest.raises(InvalidName):
        create_namespace(name, actor=OPERATOR)


def test_existing_namespace_is_refused_and_keeps_its_key(payments):
    with pytest.raises(AlreadyExists):
        create_namespace("payments", actor=OPERATOR)
    assert payments.key_versions.count() == 1


def test_namespace_is_found_by_its_name(payments):
    assert find_namespace("payments") == payments


@pytest.mark.parametrize("name", ["Payments", "payment", "payments ", ""])
def test_other_name_is_no_namespace(payments, name):
    with pytest.raises(NoSuchNamespace):
        find_namespace(name)


def test_without_a_kek_nothing_is_created(db, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    with pytest.raises(VaultUnavailable):
        create_namespace("payroll", actor=OPERATOR)
    assert not Namespace.objects.exists()


# rotate ---------------------------------------------------------------------------------------------------------------


def test_rotation_leaves_exactly_one_primary_the_new_one(payments):
    version = rotate_key(payments, actor=OPERATOR, reason="test")
    assert payments.key_versions.get(is_primary=True) == version


def test_rotation_keeps_the_old_version_enabled_and_unchanged(payments):
    before = payments.key_versions.get()
    rotate_key(payments, actor=OPERATOR, reason="test")
    after = payments.key_versions.get(number=1)
    assert (after.state, after.key_id, after.wrapped) == ("ENABLED", before.key_id, before.wrapped)


def test_rotation_makes_a_new_random_key(payments):
    old, new = payments.key_versions.get(), rotate_key(payments, actor=OPERATOR, reason="test")
    assert unwrap(old) != unwrap(new)


def test_rotation_leaves_other_namespaces_alone(payments):
    payroll = create_namespace("payroll", actor=OPERATOR)
    rotate_key(payments, actor=OPERATOR, reason="test")
    assert payroll.key_versions.get().is_primary


def test_rotation_is_recorded_with_former_key_and_reason(payments):
    former = payments.key_versions.get()
    version = rotate_key(payments, actor=OPERATOR, reason=" yearly ")
    details = last_record(AuditAction.KEY_MADE_PRIMARY).details
    assert details == {"key_id": version.key_id, "former": former.key_id, "reason": "yearly"}


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_rotation_without_a_reason_is_refused(payments, reason):
    with pytest.raises(ReasonRequired):
        rotate_key(payments, actor=OPERATOR, reason=reason)
    assert payments.key_versions.count() == 1


# import ---------------------------------------------------------------------------------------------------------------


def test_imported_key_decodes_and_does_not_encode(payments):
    primary = payments.key_versions.get()
    version = take_in(payments, "worker", canary.DATA_KEY)
    assert (version.origin, version.state, version.is_primary) == ("imported", "ENABLED", False)
    assert keyring(payments).encryption_key().label == primary.key_id
    assert unwrap(version) == canary.DATA_KEY


def test_key_imported_as_primary_encodes(payments):
    take_in(payments, "worker", primary=True)
    assert keyring(payments).encryption_key().wire_id == b"worker"


def test_import_is_recorded_without_the_key(payments):
    take_in(payments, "worker", canary.DATA_KEY)
    assert last_record(AuditAction.KEY_IMPORTED).details == {"key_id": "worker"}


def test_empty_id_gets_a_name_to_show_and_is_found_as_payloads_carry_it(payments):
    assert take_in(payments, "").key_id == "(empty)"
    assert keyring(payments).decryption_key(b"").label == "(empty)"
    assert keyring(payments).decryption_key(b"(empty)") is None


@pytest.mark.parametrize("key_id", ["a", "key with spaces", "schlüssel", "1-abcdefgh", "x" * 255, "%_"])
def test_id_that_workers_write_is_kept_to_the_letter(payments, key_id):
    assert take_in(payments, key_id).key_id == key_id
    assert keyring(payments).decryption_key(key_id.encode()).label == key_id


@pytest.mark.parametrize("key_id", ["a\n", "\0", "a\x7f", "\u202ea", "x" * 256, "\udcff"])
def test_id_that_cannot_be_shown_is_refused(payments, key_id):
    with pytest.raises(InvalidName):
        take_in(payments, key_id)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_key_of_another_length_is_refused(payments, length):
    with pytest.raises(InvalidKey, match="32 bytes"):
        import_key(payments, "worker", os.urandom(length), primary=False, actor=OPERATOR)


@pytest.mark.parametrize("data_key", [bytes(32), b"a" * 32, b"abcde" * 6 + b"ab"])
def test_key_that_is_not_random_is_refused(payments, data_key):
    with pytest.raises(InvalidKey, match="random"):
        take_in(payments, "worker", data_key)


def test_taken_id_is_refused(payments, canary_key):
    with pytest.raises(AlreadyExists, match="canary"):
        take_in(payments, "canary")


def test_id_of_a_destroyed_version_is_never_used_again(payments, canary_key):
    KeyVersion.objects.filter(pk=canary_key.pk).update(state="DESTROYED", wrapped=None, is_primary=False)
    with pytest.raises(AlreadyExists):
        take_in(payments, "canary")


def test_id_taken_in_one_namespace_is_free_in_another(canary_key):
    assert take_in(create_namespace("payroll", actor=OPERATOR), "canary").key_id == "canary"


def test_refused_import_leaves_no_row(payments):
    with pytest.raises(InvalidKey):
        take_in(payments, "worker", bytes(32))
    assert payments.key_versions.count() == 1


# An id that is the key ------------------------------------------------------------------------------------------------


@pytest.fixture
def java_sample(payments) -> KeyVersion:
    return take_in(payments, JAVA_SAMPLE_KEY, canary.DATA_KEY)


def test_id_that_is_the_key_is_shown_as_java_sample(java_sample):
    assert java_sample.key_id == f"java-sample-{java_sample.key_id_digest[:8]}"


def test_id_that_is_the_key_stands_in_no_column(java_sample):
    for place, content in every_column():
        canary.check(place, content)


def test_id_that_is_the_key_is_found_as_payloads_carry_it(payments, java_sample):
    found = keyring(payments).decryption_key(JAVA_SAMPLE_KEY.encode())
    sealed = AESGCM(canary.DATA_KEY).encrypt(bytes(12), b"plain", None)
    assert (found.label, found.aead.decrypt(bytes(12), sealed, None)) == (java_sample.key_id, b"plain")


def test_its_shown_name_is_not_found(payments, java_sample):
    assert keyring(payments).decryption_key(java_sample.key_id.encode()) is None


def test_key_whose_id_is_the_key_is_never_primary(payments):
    with pytest.raises(InvalidKey, match="must not encode"):
        take_in(payments, JAVA_SAMPLE_KEY, canary.DATA_KEY, primary=True)
    assert payments.key_versions.count() == 1


def test_key_whose_id_is_the_key_is_taken_in_once(payments, java_sample):
    with pytest.raises(AlreadyExists, match="java-sample-") as refusal:
        take_in(payments, JAVA_SAMPLE_KEY, canary.DATA_KEY)
    canary.check("the refusal", str(refusal.value))


# Recorded or undone ---------------------------------------------------------------------------------------------------


def test_namespace_that_cannot_be_recorded_is_not_created(audit_unwritable):
    with pytest.raises(DatabaseError):
        create_namespace("payroll", actor=OPERATOR)
    assert not Namespace.objects.exists()


def test_rotation_that_cannot_be_recorded_is_undone(payments, audit_unwritable):
    with pytest.raises(DatabaseError):
        rotate_key(payments, actor=OPERATOR, reason="test")
    assert payments.key_versions.get().is_primary


@pytest.mark.parametrize("primary", [False, True])
def test_import_that_cannot_be_recorded_is_undone(payments, audit_unwritable, primary):
    with pytest.raises(DatabaseError):
        take_in(payments, primary=primary)
    assert payments.key_versions.get().is_primary
