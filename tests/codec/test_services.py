"""Services: machines that have tokens, and no way to sign in."""

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, UserManager
from django.db import IntegrityError, transaction
from django.test import RequestFactory

from codec.grants import give_grant
from codec.models import User
from codec.services import ServiceRefused, create_service, find_group
from codec.tokens import Wish, make_token
from keys.models import AuditRecord
from tests import canary
from tests.conftest import OPERATOR, CodecClient, signed_in


@pytest.fixture
def team(db) -> Group:
    return Group.objects.create(name="team")


@pytest.fixture
def export(team) -> User:
    return create_service("export", team)


def with_password(service: User) -> User:
    """Give a service a password by force, past every guard of ours but the database's."""
    service.set_password(canary.PASSWORD)
    return service


# Creating -------------------------------------------------------------------------------------------------------------


def test_service_belongs_to_its_group_and_has_no_password(export, team):
    assert (export.is_service, export.owner_group, export.has_usable_password()) == (True, team, False)


def test_creation_is_recorded_with_the_group(export):
    record = AuditRecord.objects.get(action="user:created")
    assert (record.details["user"], record.details["service_of"]) == ("export", "team")


@pytest.mark.parametrize("name", ["", "a b", "x" * 151, "line\nbreak"])
def test_name_that_no_user_can_have_is_refused(team, name):
    with pytest.raises(ServiceRefused):
        create_service(name, team)


def test_name_of_a_person_is_refused(alice, team):
    with pytest.raises(ServiceRefused, match="already exists"):
        create_service("alice", team)


def test_group_that_does_not_exist_is_refused(db):
    with pytest.raises(ServiceRefused, match="There is no group nowhere"):
        find_group("nowhere")


def test_group_with_services_is_not_deleted(export, team):
    with pytest.raises(Exception, match="protected"):
        team.delete()


# What the database itself refuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"is_staff": True},
        {"is_superuser": True},
        {"owner_group": None},
        {"is_service": False},
        {"password": "pbkdf2_sha256$1$a$b"},
        {"password": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_database_keeps_a_service_a_service(export, change):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=export.pk).update(**change)


def test_person_has_no_owning_group(alice, team):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=alice.pk).update(owner_group=team)


# It signs in by no form -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["", "!", canary.PASSWORD])
def test_sign_in_page_lets_no_service_in(export, password):
    answer = CodecClient().post("/login/", {"username": "export", "password": password or export.password})
    assert answer.status_code == 200
    assert not AuditRecord.objects.filter(action="session:started").exists()


def test_service_with_a_password_would_still_not_get_in(export, monkeypatch):
    monkeypatch.setattr(UserManager, "get_by_natural_key", lambda self, username: with_password(export))
    request = RequestFactory().post("/login/")
    assert authenticate(request, username="export", password=canary.PASSWORD) is None


def test_person_with_that_password_does(alice):
    request = RequestFactory().post("/login/")
    assert authenticate(request, username="alice", password=canary.PASSWORD) == alice


def test_session_of_a_service_decodes_nothing(export, payments, canary_key):
    give_grant(export, payments, decode=True, actor=OPERATOR, reason="test")
    assert signed_in(export).call("/decode").status_code == 401


def test_session_of_a_service_opens_no_page(export):
    client = CodecClient()
    client.force_login(export, backend="codec.password_backend.PasswordBackend")
    assert client.get("/")["Location"] == "/login/?next=/"


# It calls with a token ------------------------------------------------------------------------------------------------


@pytest.fixture
def token(export) -> str:
    return make_token(export, Wish(name="test", days=1, decode=True), actor=OPERATOR)[1].reveal


def call(token: str):
    return CodecClient().call("/decode", authorization=f"Bearer {token}", origin=None)


def test_service_with_a_grant_decodes(token, export, payments, canary_key):
    give_grant(export, payments, decode=True, actor=OPERATOR, reason="test")
    assert call(token).status_code == 200
    assert AuditRecord.objects.get(action="payload:decoded").actor_name == "export"


def test_service_without_a_grant_is_403(token, payments):
    assert call(token).status_code == 403


def test_grant_of_a_member_of_its_group_is_not_the_services(token, alice, team, granted, canary_key):
    alice.groups.add(team)
    assert call(token).status_code == 403


def test_disabled_service_is_401_at_the_next_request(token, export, payments, canary_key):
    give_grant(export, payments, decode=True, actor=OPERATOR, reason="test")
    assert call(token).status_code == 200
    User.objects.filter(pk=export.pk).update(is_active=False)
    assert call(token).json()["detail"] == "The account that this token belongs to is disabled."


def test_ended_token_of_a_service_says_whom_to_ask(token, export):
    export.api_tokens.update(expires_at=export.date_joined)
    detail = call(token).json()["detail"]
    assert detail == "This token has expired. Ask a grant approver of the codec server for a new one."
