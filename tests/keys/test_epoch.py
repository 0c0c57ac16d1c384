"""Everything that can shrink or change a right moves the epoch, by whatever hand; what cannot, does not."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone

from codec.grants import give_grant, revoke_grant
from codec.models import Grant, User, UserSession
from keys import epoch, lifecycle, rotation
from keys.errors import VaultUnavailable
from keys.models import KeyVersion, Namespace, PolicyEpoch
from tests import canary
from tests.conftest import OPERATOR, CodecClient

WHY = {"actor": OPERATOR, "reason": "test"}


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


MOVES = {
    "rotate": lambda: rotation.rotate_key(Namespace.objects.get(), **WHY),
    "publish": lambda: rotation.publish_key(Namespace.objects.get(), **WHY),
    "disable": lambda: lifecycle.disable(KeyVersion.objects.filter(is_primary=False).first(), **WHY),
    "key state by QuerySet.update": lambda: KeyVersion.objects.filter(is_primary=False).update(state="DISABLED"),
    "key state by SQL": lambda: sql("UPDATE keys_keyversion SET state = 'DISABLED' WHERE NOT is_primary"),
    "retire a namespace": lambda: Namespace.objects.update(retired_at=timezone.now()),
    "change what a denied decode does": lambda: Namespace.objects.update(denied_decode="return_encoded"),
    "create a namespace": lambda: rotation.create_namespace("another", actor=OPERATOR),
    "give a grant": lambda: give_grant(
        User.objects.get(username="mallory"), Namespace.objects.get(), decode=True, encode=False, **WHY
    ),
    "revoke a grant": lambda: revoke_grant(Grant.objects.get(), **WHY),
    "change a grant by SQL": lambda: sql("UPDATE codec_grant SET encode = NOT encode"),
    "delete a grant": lambda: Grant.objects.all().delete(),
    "sign out": lambda: UserSession.objects.all().delete(),
    "shorten a session": lambda: UserSession.objects.update(expire_date=timezone.now()),
    "disable a user": lambda: User.objects.filter(username="alice").update(is_active=False),
    "disable a user by SQL": lambda: sql("UPDATE codec_user SET is_active = NOT is_active"),
    "change a password": lambda: User.objects.filter(username="alice").update(password="x"),
    "join a group": lambda: User.objects.get(username="alice").groups.add(Group.objects.create(name="g")),
}
DOES_NOT_MOVE = {
    "sign in": lambda: CodecClient().post("/login/", {"username": "alice", "password": canary.PASSWORD}),
    "last login": lambda: User.objects.update(last_login=timezone.now()),
    "e-mail": lambda: User.objects.update(email="new@example.com"),
    "session data": lambda: UserSession.objects.update(session_data="x"),
    "usage": lambda: Namespace.objects.update(expected_encryptions_per_day=5),
    "another KEK for the same key": lambda: KeyVersion.objects.update(kek_id="other"),
    "create a user": lambda: User.objects.create_user("new"),
}


@pytest.fixture
def cast(browser, mallory):
    """alice signed in with a grant on payments, which has two key versions, and mallory without one."""


@pytest.mark.parametrize("move", MOVES)
def test_epoch_moves(cast, move):
    before = epoch.read()
    MOVES[move]()
    assert epoch.read() > before


@pytest.mark.parametrize("act", DOES_NOT_MOVE)
def test_epoch_stands_still(cast, act):
    before = epoch.read()
    DOES_NOT_MOVE[act]()
    assert epoch.read() == before


def test_missing_epoch_makes_the_vault_unavailable(browser):
    PolicyEpoch.objects.all().delete()
    with pytest.raises(VaultUnavailable):
        epoch.read()
    assert browser.call("/decode").status_code == 503


def test_all_triggers_are_installed(db):
    assert epoch.missing_triggers() == []


def test_missing_trigger_is_named(db):
    trigger = epoch.known_triggers[0]
    sql(trigger.drop(connection.vendor))
    assert epoch.missing_triggers() == [trigger.name]


def test_readiness_fails_without_a_trigger(db, client):
    assert client.get("/readyz").status_code == 200
    sql(epoch.known_triggers[0].drop(connection.vendor))
    assert client.get("/readyz").status_code == 503
