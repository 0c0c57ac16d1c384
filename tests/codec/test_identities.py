"""From (issuer, subject) to a user; and from an invitation to that, once."""

import pytest
from django.db import transaction

from codec import identities
from codec.identities import bind_invitation, find_user
from codec.models import Identity, Invitation, User
from keys.models import AuditRecord

ISSUER = "https://issuer.example.com/"
EMAIL = "alice@example.com"


@pytest.fixture
def bound(alice):
    return Identity.objects.create(user=alice, issuer=ISSUER, subject="s1")


@pytest.fixture
def invited(alice):
    return Invitation.objects.create(user=alice, email=EMAIL, issuer=ISSUER, invited_by="bob")


def test_issuer_and_subject_find_the_user(bound, alice):
    assert find_user(ISSUER, "s1") == alice


def test_disabled_user_is_found_for_the_caller_to_refuse(bound, alice):
    User.objects.update(is_active=False)
    found = find_user(ISSUER, "s1")
    assert found == alice
    assert not found.is_active


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        (ISSUER, "s2"),
        (ISSUER, "S1"),
        (ISSUER, "s1 "),
        (ISSUER, "s1\0"),
        (ISSUER, ""),
        (ISSUER, "s" * 256),
        ("https://other.example.com/", "s1"),
        (ISSUER.rstrip("/"), "s1"),
        (ISSUER.upper(), "s1"),
        ("", "s1"),
    ],
)
def test_anything_else_finds_nobody(bound, issuer, subject):
    assert find_user(issuer, subject) is None


def test_email_is_no_identity(alice):
    Identity.objects.create(user=alice, issuer=ISSUER, subject="s1")
    assert find_user(ISSUER, alice.email) is None
    assert find_user(ISSUER, alice.username) is None


def test_invitation_binds(invited, alice):
    assert bind_invitation(ISSUER, "s1", EMAIL) == alice
    assert find_user(ISSUER, "s1") == alice
    invited.refresh_from_db()
    assert invited.bound_at is not None


def test_letter_case_of_the_address_does_not_matter(invited, alice):
    assert bind_invitation(ISSUER, "s1", "ALICE@Example.com") == alice


def test_binding_is_recorded(invited, alice):
    bind_invitation(ISSUER, "s1", EMAIL)
    details = AuditRecord.objects.get(action="identity:bound").details
    assert details == {
        "user": "alice",
        "user_id": alice.pk,
        "issuer": ISSUER,
        "subject": "s1",
        "invited_by": "bob",
    }


def test_invitation_is_used_up(invited):
    bind_invitation(ISSUER, "s1", EMAIL)
    assert bind_invitation(ISSUER, "s2", EMAIL) is None
    assert Identity.objects.count() == 1


def test_bound_subject_is_found_again_and_not_recorded_again(invited, alice):
    bind_invitation(ISSUER, "s1", EMAIL)
    assert bind_invitation(ISSUER, "s1", EMAIL) == alice
    assert AuditRecord.objects.filter(action="identity:bound").count() == 1


def test_twin_that_comes_second_under_the_lock_finds_the_same_user(invited, alice):
    assert identities._bind(ISSUER, "s1", EMAIL) == alice
    assert identities._bind(ISSUER, "s1", EMAIL) == alice
    assert Identity.objects.count() == 1


def test_bound_subject_uses_up_no_invitation_of_another(bound, alice, mallory):
    other = Invitation.objects.create(user=mallory, email="other@example.com", issuer=ISSUER, invited_by="bob")
    assert bind_invitation(ISSUER, "s1", "other@example.com") == alice
    other.refresh_from_db()
    assert other.bound_at is None


def test_second_invitation_binds_a_second_subject(invited, alice):
    bind_invitation(ISSUER, "s1", EMAIL)
    Invitation.objects.create(user=alice, email=EMAIL, issuer=ISSUER, invited_by="bob")
    assert bind_invitation(ISSUER, "s2", EMAIL) == alice


@pytest.mark.parametrize(
    ("issuer", "subject", "email"),
    [
        ("https://other.example.com/", "s1", EMAIL),
        (ISSUER, "s1", "other@example.com"),
        (ISSUER, "s1", ""),
        (ISSUER, "s1", f"{EMAIL} "),
        (ISSUER, "s1", "%@example.com"),
        (ISSUER, "s1", "a_ice@example.com"),
        (ISSUER, "s1", "al\u0131ce@example.com"),
        (ISSUER, "s1", "\u0430lice@example.com"),
        (ISSUER, "s1", f"{EMAIL}\0"),
        (ISSUER, "", EMAIL),
        (ISSUER, "s\0", EMAIL),
        (ISSUER, "s" * 256, EMAIL),
    ],
)
def test_what_nobody_invited_binds_nothing(invited, issuer, subject, email):
    assert bind_invitation(issuer, subject, email) is None
    assert not Identity.objects.exists()


def test_address_with_a_letter_that_folds_to_another_opens_nothing(alice):
    Invitation.objects.create(user=alice, email="al\u0131ce@example.com", issuer=ISSUER, invited_by="bob")
    Invitation.objects.create(user=alice, email="\u212aate@example.com", issuer=ISSUER, invited_by="bob")
    assert bind_invitation(ISSUER, "s1", EMAIL) is None
    assert bind_invitation(ISSUER, "s1", "kate@example.com") is None


def test_disabled_user_is_not_bound(invited):
    User.objects.update(is_active=False)
    assert bind_invitation(ISSUER, "s1", EMAIL) is None


def test_binding_and_its_record_are_one(invited, audit_unwritable):
    with pytest.raises(Exception, match="unwritable"), transaction.atomic():
        bind_invitation(ISSUER, "s1", EMAIL)
    assert not Identity.objects.exists()
    invited.refresh_from_db()
    assert invited.bound_at is None
