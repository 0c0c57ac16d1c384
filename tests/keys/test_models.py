"""What the database itself refuses, whoever writes."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from keys.models import KeyVersion, Namespace
from keys.rotation import create_namespace
from tests.conftest import OPERATOR

State = KeyVersion.State


@pytest.fixture
def payroll(db):
    return create_namespace("payroll", actor=OPERATOR)


def insert(namespace: Namespace, **fields) -> KeyVersion:
    """Write a key version that is acceptable but for `fields`, past everything but the database."""
    acceptable = {"number": 2, "key_id": "second", "key_id_digest": "2" * 64, "state": State.ENABLED}
    material = {"kek_id": "kek", "wrapped": b"wrapped", "check_value": b"checked!", "origin": "generated"}
    with transaction.atomic():
        return KeyVersion.objects.create(namespace=namespace, **(acceptable | material | fields))


# Unique in a namespace ------------------------------------------------------------------------------------------------


def test_second_version_that_is_not_primary_is_accepted(payments):
    assert insert(payments).pk


def test_second_primary_is_refused(payments):
    with pytest.raises(IntegrityError):
        insert(payments, is_primary=True)


def test_making_all_versions_primary_at_once_is_refused(payments):
    insert(payments)
    with pytest.raises(IntegrityError), transaction.atomic():
        KeyVersion.objects.update(is_primary=True)


@pytest.mark.parametrize("field", ["number", "key_id", "key_id_digest"])
def test_taken_value_is_refused_in_the_same_namespace(payments, field):
    first = payments.key_versions.get()
    with pytest.raises(IntegrityError):
        insert(payments, **{field: getattr(first, field)})


def test_same_number_id_and_digest_are_accepted_in_another_namespace(payments, payroll):
    first = payments.key_versions.get()
    payroll.key_versions.all().delete()
    taken = {"number": first.number, "key_id": first.key_id, "key_id_digest": first.key_id_digest}
    assert insert(payroll, **taken, is_primary=True).pk


# States ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.DISABLED, State.DESTROY_SCHEDULED])
def test_primary_that_is_not_enabled_is_refused(payments, state):
    payments.key_versions.all().delete()
    with pytest.raises(IntegrityError):
        insert(payments, is_primary=True, state=state)


def test_destroyed_primary_is_refused(payments):
    payments.key_versions.all().delete()
    with pytest.raises(IntegrityError):
        insert(payments, is_primary=True, state=State.DESTROYED, wrapped=None)


def test_disabling_the_primary_in_place_is_refused(payments):
    with pytest.raises(IntegrityError), transaction.atomic():
        payments.key_versions.update(state=State.DISABLED)


@pytest.mark.parametrize("state", ["", "enabled", "RETIRED"])
def test_unknown_state_is_refused(payments, state):
    with pytest.raises(IntegrityError):
        insert(payments, state=state)


def test_destroyed_version_with_material_is_refused(payments):
    with pytest.raises(IntegrityError):
        insert(payments, state=State.DESTROYED)


def test_destroyed_version_without_material_is_accepted(payments):
    assert insert(payments, state=State.DESTROYED, wrapped=None).pk


@pytest.mark.parametrize("state", [State.ENABLED, State.DISABLED, State.DESTROY_SCHEDULED])
def test_other_states_without_material_are_refused(payments, state):
    with pytest.raises(IntegrityError):
        insert(payments, state=state, wrapped=None)


@pytest.mark.parametrize("number", [0, -1])
def test_number_below_one_is_refused(payments, number):
    with pytest.raises(IntegrityError):
        insert(payments, number=number)


# Namespaces -----------------------------------------------------------------------------------------------------------


def test_second_namespace_of_a_name_is_refused(payments):
    with pytest.raises(IntegrityError), transaction.atomic():
        Namespace.objects.create(name="payments")


def test_namespace_names_differ_by_case(payments):
    assert Namespace.objects.create(name="Payments").pk


def test_namespace_with_keys_is_not_deleted(payments):
    with pytest.raises(ProtectedError):
        payments.delete()


@pytest.mark.parametrize("name", ["", "a b", ".a", "a/b", "ä"])
def test_form_refuses_what_is_no_namespace_name(name):
    with pytest.raises(ValidationError, match="name"):
        Namespace(name=name).clean_fields()


def test_new_namespace_refuses_decodes_without_a_grant(payments):
    assert payments.denied_decode == Namespace.DeniedDecode.REFUSE


def test_every_chain_on_offer_ends_in_encryption():
    assert all(chain.endswith("aes-gcm") for chain in Namespace.CodecChain.values)


def test_names_for_people_hold_no_material(payments, canary_key):
    assert (str(payments), str(canary_key)) == ("payments", "payments canary")
