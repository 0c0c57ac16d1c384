"""What is recorded of people: signing in and out, and every change to users and groups, by whomever."""

import getpass

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError

from codec.models import User
from codec.session_store import digest
from keys.models import AuditRecord
from tests import canary
from tests.commands import manage
from tests.conftest import CodecClient

MISTYPED = "canary-password-9b3e2"  # alice's, but for its last letter


@pytest.fixture
def visitor(db) -> CodecClient:
    return CodecClient()


@pytest.fixture
def team(db) -> Group:
    return Group.objects.create(name="team")


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


def post_sign_in(client: CodecClient, username: str, password: str, **headers: str):
    return client.post("/login/", {"username": username, "password": password}, headers=headers)


def actor_of(record: AuditRecord) -> tuple[str, str]:
    return record.actor_kind, record.actor_name


# Signing in -----------------------------------------------------------------------------------------------------------


def test_sign_in_is_recorded(visitor, alice):
    post_sign_in(visitor, "alice", canary.PASSWORD, User_Agent="Firefox", Origin="http://testserver")
    record = last("session:started")
    assert (actor_of(record), record.actor_id, record.outcome) == (("user", "alice"), str(alice.pk), "allowed")
    assert (record.address, record.web_origin) == ("127.0.0.1", "http://testserver")


def test_sign_in_is_recorded_with_a_name_for_the_session_that_opens_nothing(browser):
    cookie = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
    browser.call("/decode")
    assert last("payload:decoded").credential == f"session {digest(cookie)[:12]}"


def test_sign_in_changes_no_user(visitor, alice):
    post_sign_in(visitor, "alice", canary.PASSWORD)
    assert not AuditRecord.objects.filter(action="user:changed").exists()


def test_sign_in_that_stores_a_newer_hash_is_no_change_of_password(visitor, alice, settings):
    newer = "django.contrib.auth.hashers.ScryptPasswordHasher"
    settings.PASSWORD_HASHERS = [newer, *settings.PASSWORD_HASHERS]
    before = alice.password
    post_sign_in(visitor, "alice", canary.PASSWORD)
    alice.refresh_from_db()
    assert alice.password != before
    assert not AuditRecord.objects.filter(action="user:password-changed").exists()


def test_sign_in_that_cannot_be_recorded_does_not_happen(visitor, alice, audit_unwritable):
    with pytest.raises(DatabaseError):
        post_sign_in(visitor, "alice", canary.PASSWORD)
    assert django_settings.SESSION_COOKIE_NAME not in visitor.cookies


def test_wrong_password_is_recorded_under_the_name_that_exists(visitor, alice):
    post_sign_in(visitor, "alice", MISTYPED)
    record = last("session:sign-in-failed")
    assert (record.outcome, record.reason, record.details) == ("denied", "wrong_credentials", {"user": "alice"})
    assert (actor_of(record), record.address) == (("anonymous", ""), "127.0.0.1")


@pytest.mark.parametrize("username", ["nobody", canary.PASSWORD, "Alice", "alice\u200b", "a" * 10_000])
def test_name_that_does_not_exist_is_not_recorded(visitor, alice, username):
    post_sign_in(visitor, username, MISTYPED)
    assert last("session:sign-in-failed").details == {}
    assert username not in repr(list(AuditRecord.objects.filter(action="session:sign-in-failed").values()))


def test_typed_password_is_not_recorded(visitor, alice):
    post_sign_in(visitor, "alice", MISTYPED)
    assert MISTYPED not in repr(list(AuditRecord.objects.values()))


def test_disabled_person_fails_to_sign_in(visitor, alice):
    User.objects.update(is_active=False)
    post_sign_in(visitor, "alice", canary.PASSWORD)
    assert last("session:sign-in-failed").details == {"user": "alice"}


@pytest.mark.parametrize("username", ["alice\0", ""])
def test_name_that_no_form_lets_through_is_no_sign_in(visitor, alice, username):
    assert post_sign_in(visitor, username, canary.PASSWORD).status_code == 200
    assert not AuditRecord.objects.filter(action__startswith="session:").exists()


def test_sign_out_is_recorded(browser):
    browser.post("/logout/")
    assert actor_of(last("session:ended")) == ("user", "alice")


def test_sign_out_of_nobody_is_not_recorded(visitor):
    visitor.post("/logout/")
    assert not AuditRecord.objects.exists()


# Users, changed by whoever runs code ----------------------------------------------------------------------------------


def test_new_user_is_recorded_with_its_powers(bob):
    record = last("user:created")
    flags = {"is_active": True, "is_staff": True, "is_superuser": True}
    assert record.details == {"user": "bob", "user_id": bob.pk, **flags}
    assert actor_of(record) == ("command", getpass.getuser())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "alicia"),
        ("email", "alicia@example.com"),
        ("first_name", "Alicia"),
        ("last_name", "Keys"),
        ("is_active", False),
        ("is_staff", True),
        ("is_superuser", True),
    ],
)
def test_changed_field_is_recorded_with_its_new_value(alice, field, value):
    setattr(alice, field, value)
    alice.save()
    assert last("user:changed").details == {"user": alice.username, "user_id": alice.pk, "changes": {field: value}}


def test_saving_without_a_change_is_not_recorded(alice):
    before = AuditRecord.objects.count()
    alice.save()
    assert AuditRecord.objects.count() == before


def test_new_password_is_recorded_without_it(alice):
    alice.set_password("another-password-1")
    alice.save()
    assert last("user:password-changed").details == {"user": "alice", "user_id": alice.pk}
    assert "another-password-1" not in repr(list(AuditRecord.objects.values()))


def test_password_taken_away_is_recorded(alice):
    alice.set_unusable_password()
    alice.save()
    assert last("user:password-changed").details["user"] == "alice"


def test_password_changed_by_command_is_the_operators_act(alice, monkeypatch):
    monkeypatch.setattr(getpass, "getpass", lambda *args, **options: "another-password-1")
    manage("changepassword", "alice")
    assert actor_of(last("user:password-changed")) == ("command", getpass.getuser())


def test_deleted_user_is_recorded(mallory):
    about = {"user": "mallory", "user_id": mallory.pk}
    mallory.delete()
    assert last("user:deleted").details == about


# Groups and permissions -----------------------------------------------------------------------------------------------


def view_audit() -> Permission:
    return Permission.objects.get(codename="view_auditrecord")


def test_joining_a_group_is_recorded(alice, team):
    alice.groups.add(team)
    assert last("user:groups-changed").details == {"of": "alice", "change": "add", "items": ["team"]}


def test_leaving_a_group_is_recorded(alice, team):
    alice.groups.add(team)
    alice.groups.remove(team)
    assert last("user:groups-changed").details == {"of": "alice", "change": "remove", "items": ["team"]}


def test_leaving_all_groups_is_recorded(alice, team):
    alice.groups.add(team)
    alice.groups.clear()
    assert last("user:groups-changed").details["change"] == "clear"


def test_group_that_takes_a_member_in_is_recorded(alice, team):
    team.user_set.add(alice)
    assert last("user:groups-changed").details == {"of": "team", "change": "add", "items": ["alice"]}


def test_permission_of_a_user_is_recorded(alice):
    alice.user_permissions.add(view_audit())
    details = last("user:permissions-changed").details
    assert (details["of"], details["items"]) == ("alice", [str(view_audit())])


def test_permission_of_a_group_is_recorded(team):
    team.permissions.add(view_audit())
    details = last("group:permissions-changed").details
    assert (details["of"], details["items"]) == ("team", [str(view_audit())])


def test_life_of_a_group_is_recorded(team):
    team.name = "crew"
    team.save()
    team.delete()
    recorded = AuditRecord.objects.filter(action__startswith="group:").order_by("id")
    told = [(record.action, record.details["group"]) for record in recorded if "group" in record.details]
    assert told[-3:] == [("group:created", "team"), ("group:changed", "crew"), ("group:deleted", "crew")]


# In the browser, the actor is who is signed in ------------------------------------------------------------------------


def user_form(user: User, **changed: object) -> dict[str, object]:
    """Return Django's user form, as the page would send it."""
    joined = user.date_joined
    form = {"username": user.username, "email": user.email, "first_name": "", "last_name": "", "is_active": "on"}
    form |= {"date_joined_0": joined.date().isoformat(), "date_joined_1": joined.time().isoformat("seconds")}
    return {name: value for name, value in (form | changed).items() if value is not None}


def test_user_created_in_the_admin_is_recorded_with_the_administrator(bobs_browser):
    password = {"password1": canary.PASSWORD, "password2": canary.PASSWORD, "usable_password": "true"}
    bobs_browser.post("/admin/codec/user/add/", {"username": "carol", **password})
    record = last("user:created")
    assert (actor_of(record), record.details["user"], record.address) == (("user", "bob"), "carol", "127.0.0.1")


def test_user_disabled_in_the_admin_is_recorded_with_the_administrator(bobs_browser, alice):
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/change/", user_form(alice, is_active=None))
    record = last("user:changed")
    assert (actor_of(record), record.details["changes"]) == (("user", "bob"), {"is_active": False})


def test_password_set_in_the_admin_is_recorded_with_the_administrator(bobs_browser, alice):
    password = {"password1": "another-password-1", "password2": "another-password-1", "usable_password": "true"}
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/password/", password)
    record = last("user:password-changed")
    assert (actor_of(record), record.details["user"]) == (("user", "bob"), "alice")


def test_group_joined_in_the_admin_is_recorded_with_the_administrator(bobs_browser, alice, team):
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/change/", user_form(alice, groups=[team.pk]))
    record = last("user:groups-changed")
    assert (actor_of(record), record.details["items"]) == (("user", "bob"), ["team"])


def test_permission_given_in_the_admin_is_recorded_with_the_administrator(bobs_browser, alice):
    permission = user_form(alice, user_permissions=[view_audit().pk])
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/change/", permission)
    assert actor_of(last("user:permissions-changed")) == ("user", "bob")


def test_group_made_in_the_admin_is_recorded_with_the_administrator(bobs_browser):
    bobs_browser.post("/admin/auth/group/add/", {"name": "crew", "permissions": [view_audit().pk]})
    assert actor_of(last("group:created")) == actor_of(last("group:permissions-changed")) == ("user", "bob")


def test_administrator_of_one_request_is_not_the_actor_after_it(bobs_browser, alice):
    bobs_browser.get("/admin/")
    alice.is_staff = True
    alice.save()
    assert actor_of(last("user:changed")) == ("command", getpass.getuser())


# Recorded or undone ---------------------------------------------------------------------------------------------------


def test_user_that_cannot_be_recorded_is_not_created(audit_unwritable):
    with pytest.raises(DatabaseError):
        User.objects.create_superuser("eve", password=canary.PASSWORD)
    assert not User.objects.exists()


def test_powers_that_cannot_be_recorded_are_not_given(alice, audit_unwritable):
    alice.is_superuser = True
    with pytest.raises(DatabaseError):
        alice.save()
    alice.refresh_from_db()
    assert not alice.is_superuser


def test_password_that_cannot_be_recorded_is_not_set(alice, audit_unwritable):
    alice.set_password("another-password-1")
    with pytest.raises(DatabaseError):
        alice.save()
    alice.refresh_from_db()
    assert alice.check_password(canary.PASSWORD)


def test_membership_that_cannot_be_recorded_is_not_given(alice, team, audit_unwritable):
    with pytest.raises(DatabaseError):
        alice.groups.add(team)
    assert not alice.groups.exists()


def test_user_that_cannot_be_recorded_as_deleted_stays(mallory, audit_unwritable):
    with pytest.raises(DatabaseError):
        mallory.delete()
    assert User.objects.filter(username="mallory").exists()


def test_admin_change_that_cannot_be_recorded_is_undone(bobs_browser, alice, audit_unwritable):
    with pytest.raises(DatabaseError):
        bobs_browser.post(f"/admin/codec/user/{alice.pk}/change/", user_form(alice, is_superuser="on"))
    alice.refresh_from_db()
    assert not alice.is_superuser
