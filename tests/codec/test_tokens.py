"""Making, revoking and noting the use of API tokens, whoever asks for it."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from codec import token_format, tokens
from codec.models import ApiToken
from codec.tokens import TokenRefused, Wish, make_token, revoke_token
from keys import epoch
from keys.models import AuditRecord
from keys.rotation import create_namespace
from tests.conftest import OPERATOR
from tests.database import every_column

DECODE = Wish(name="laptop", days=30, decode=True)
WHY = {"actor": OPERATOR, "reason": "test"}


@pytest.fixture
def made(alice, payments):
    """A token of alice for payments, decode alone: the row and the text."""
    wish = Wish(name="laptop", days=30, namespaces=[payments], decode=True)
    return make_token(alice, wish, actor=OPERATOR)


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


# Making ---------------------------------------------------------------------------------------------------------------


def test_token_is_what_was_wished_for(made, alice, payments):
    token, _ = made
    assert (token.user, token.name, token.decode, token.encode) == (alice, "laptop", True, False)
    assert (token.every_namespace, list(token.namespaces.all())) == (False, [payments])
    assert timedelta(days=29, hours=23) < token.expires_at - timezone.now() <= timedelta(days=30)


def test_database_holds_the_digest_and_never_the_token(made):
    token, text = made
    assert token.digest == token_format.digest(text.reveal)
    assert [place for place, content in every_column() if text.reveal.encode() in content] == []


def test_making_is_recorded_without_token_and_digest(made, alice):
    token, text = made
    record = last("token:made")
    assert (record.actor_name, record.details["user"], record.details["token"]) == ("test", "alice", token.digest[:12])
    assert record.details["namespaces"] == ["payments"]
    assert text.reveal not in repr(record.details)
    assert token.digest not in repr(record.details)


def test_token_for_every_namespace_is_recorded_as_such(alice):
    make_token(alice, DECODE, actor=OPERATOR)
    assert last("token:made").details["namespaces"] is None


def test_token_that_cannot_be_recorded_is_not_made(alice, audit_unwritable):
    with pytest.raises(DatabaseError):
        make_token(alice, DECODE, actor=OPERATOR)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": " "}, "Name the token, so that you know it again."),
        ({"name": "x" * 61}, "A name has at most 60 printable characters."),
        ({"name": "a\nb"}, "A name has at most 60 printable characters."),
        ({"decode": False}, "Choose decode, encode or both."),
        ({"namespaces": []}, "Choose at least one namespace, or every namespace."),
        ({"days": 0}, "A token lasts from 1 to 90 days."),
        ({"days": -1}, "A token lasts from 1 to 90 days."),
        ({"days": 91}, "A token lasts from 1 to 90 days."),
    ],
)
def test_wish_that_cannot_be_is_refused(alice, changed, sentence):
    wish = {"name": "laptop", "days": 30, "namespaces": None, "decode": True} | changed
    with pytest.raises(TokenRefused, match=sentence):
        make_token(alice, Wish(**wish), actor=OPERATOR)
    assert not ApiToken.objects.exists()


def test_disabled_person_gets_no_token(alice):
    alice.is_active = False
    with pytest.raises(TokenRefused, match="alice is disabled"):
        make_token(alice, DECODE, actor=OPERATOR)


def test_longest_life_is_a_setting(alice, settings):
    settings.CODEC_TOKEN_MAX_DAYS = 7
    with pytest.raises(TokenRefused, match="1 to 7 days"):
        make_token(alice, DECODE, actor=OPERATOR)


# Finding --------------------------------------------------------------------------------------------------------------


def test_token_is_found_by_label_and_by_text(made):
    token, text = made
    assert tokens.find_token(token.label) == tokens.find_token_by_text(text.reveal) == token


@pytest.mark.parametrize("label", ["", "0", "%" * 12, "_" * 12, "000000000000"])
def test_label_that_names_nothing_is_refused(made, label):
    with pytest.raises(TokenRefused, match="no such token"):
        tokens.find_token(label)


def test_part_of_a_label_names_nothing(made):
    with pytest.raises(TokenRefused):
        tokens.find_token(made[0].label[:11])


# Revoking -------------------------------------------------------------------------------------------------------------


def test_revoked_token_says_when_by_whom_and_why(made):
    token, _ = made
    revoke_token(token, **WHY)
    token.refresh_from_db()
    assert (token.state, token.revoked_by, token.revoke_reason) == ("revoked", "test", "test")


def test_revoking_is_recorded(made):
    revoke_token(made[0], **WHY)
    record = last("token:revoked")
    assert (record.details["token"], record.details["reason"]) == (made[0].label, "test")


def test_token_is_revoked_once(made):
    revoke_token(made[0], **WHY)
    with pytest.raises(TokenRefused, match="revoked already"):
        revoke_token(made[0], **WHY)
    assert AuditRecord.objects.filter(action="token:revoked").count() == 1


@pytest.mark.parametrize("reason", ["", " ", "x" * 201])
def test_revoking_takes_a_reason(made, reason):
    with pytest.raises(TokenRefused):
        revoke_token(made[0], actor=OPERATOR, reason=reason)
    made[0].refresh_from_db()
    assert made[0].state == "in force"


def test_revocation_that_cannot_be_recorded_does_not_happen(made, audit_unwritable):
    with pytest.raises(DatabaseError):
        revoke_token(made[0], **WHY)
    made[0].refresh_from_db()
    assert made[0].state == "in force"


def test_expired_token_can_still_be_revoked(made):
    ApiToken.objects.update(expires_at=timezone.now())
    revoke_token(made[0], **WHY)
    made[0].refresh_from_db()
    assert made[0].state == "revoked"


# Use ------------------------------------------------------------------------------------------------------------------


def test_use_is_noted_once_a_minute(made):
    token, now = made[0], timezone.now()
    noted = []
    for seconds in (0, 30, 59, 61, 100, 122):
        tokens.note_use(token, now + timedelta(seconds=seconds))
        token.refresh_from_db()
        noted.append((token.last_used_at - now).total_seconds())
    assert noted == [0, 0, 0, 61, 61, 122]


def test_use_that_a_twin_has_just_noted_is_not_noted_again(made, django_assert_num_queries):
    token, now = made[0], timezone.now()
    ApiToken.objects.update(last_used_at=now)
    with django_assert_num_queries(1):
        tokens.note_use(token, now - timedelta(seconds=1))  # this process has read the row before
    token.refresh_from_db()
    assert token.last_used_at == now


# The policy epoch -----------------------------------------------------------------------------------------------------


def moves(change) -> bool:
    before = epoch.read()
    change()
    return epoch.read() != before


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now()},
        {"decode": False, "encode": True},
        {"every_namespace": True},
        {"digest": "0" * 64},
    ],
    ids=["revoked", "expiry", "verbs", "reach", "digest"],
)
def test_change_of_what_a_token_is_worth_moves_the_epoch(made, change):
    assert moves(lambda: ApiToken.objects.update(**change))


def test_change_of_owner_moves_the_epoch(made, bob):
    assert moves(lambda: ApiToken.objects.update(user=bob))


def test_change_of_namespaces_moves_the_epoch(made, db):
    refunds = create_namespace("refunds", actor=OPERATOR)
    assert moves(lambda: made[0].namespaces.add(refunds))
    assert moves(made[0].namespaces.clear)


def test_deletion_moves_the_epoch(made):
    assert moves(lambda: ApiToken.objects.all().delete())


def test_use_and_new_name_do_not_move_the_epoch(made):
    assert not moves(lambda: tokens.note_use(made[0], timezone.now()))
    assert not moves(lambda: ApiToken.objects.update(name="other"))


def test_making_a_token_for_every_namespace_does_not_move_the_epoch(alice):
    assert not moves(lambda: make_token(alice, DECODE, actor=OPERATOR))
