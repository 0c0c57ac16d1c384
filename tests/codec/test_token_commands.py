"""The commands about tokens and services: what they do and say, and each refusal as one sentence."""

import json
import re

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError
from django.utils import timezone

from codec import token_format
from codec.models import ApiToken, User
from codec.services import create_service
from codec.tokens import Wish, make_token
from keys.models import AuditRecord
from tests import canary
from tests.commands import manage
from tests.conftest import OPERATOR, CodecClient

ANYWHERE = ["--name", "laptop", "--decode"]


@pytest.fixture
def export(db) -> User:
    return create_service("export", Group.objects.create(name="team"))


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as refused:
        manage(*arguments)
    assert re.fullmatch(r"[^\n]+\.", str(refused.value))
    return str(refused.value)


# create_token ---------------------------------------------------------------------------------------------------------


def test_create_token_prints_it_once_and_it_works(alice, granted, canary_key):
    printed = manage("create_token", "alice", *ANYWHERE)
    token = re.search(token_format.REGEX, printed)[0]
    assert printed.count(token) == 1
    assert CodecClient().call("/decode", authorization=f"Bearer {token}", origin=None).status_code == 200


def test_create_token_says_what_it_allows(alice, payments):
    printed = manage("create_token", "alice", "--name", "x", "--decode", "--encode", "--namespace", "payments")
    assert "alice may decode and encode with this token in payments" in printed


def test_create_token_writes_json(alice, payments):
    made = json.loads(manage("create_token", "alice", *ANYWHERE, "--namespace", "payments", "--json"))
    row = ApiToken.objects.get()
    assert token_format.digest(made["token"]) == row.digest
    assert (made["id"], made["user"], made["namespaces"], made["decode"]) == (row.label, "alice", ["payments"], True)


def test_create_token_lasts_as_long_as_asked(alice):
    manage("create_token", "alice", *ANYWHERE, "--days", "3")
    assert (ApiToken.objects.get().expires_at - timezone.now()).days == 2


def test_create_token_records_the_operator(alice):
    manage("create_token", "alice", *ANYWHERE)
    record = AuditRecord.objects.get(action="token:made")
    assert (record.actor_kind, record.details["user"]) == ("command", "alice")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody", *ANYWHERE], "There is no user nobody."),
        (["export", *ANYWHERE], "export is a service. Use create_service_token."),
        (["alice", *ANYWHERE, "--namespace", "nowhere"], "There is no namespace nowhere."),
        (["alice", "--name", "x"], "Choose decode, encode or both."),
        (["alice", *ANYWHERE, "--days", "91"], "A token lasts from 1 to 90 days."),
        (["alice", *ANYWHERE, "--days", "0"], "A token lasts from 1 to 90 days."),
        (["alice", "--name", " ", "--decode"], "Name the token, so that you know it again."),
    ],
)
def test_create_token_refuses(alice, export, arguments, sentence):
    assert refusal("create_token", *arguments) == sentence
    assert not ApiToken.objects.exists()


# create_service, create_service_token ---------------------------------------------------------------------------------


def test_create_service_says_whose_it_is(db):
    Group.objects.create(name="team")
    assert manage("create_service", "export", "--group", "team") == "Created the service export of team.\n"
    assert User.objects.get().is_service


@pytest.mark.parametrize(
    ("name", "group", "sentence"),
    [
        ("alice", "team", "A user with that username already exists."),
        ("export", "nowhere", "There is no group nowhere."),
    ],
)
def test_create_service_refuses(alice, name, group, sentence):
    Group.objects.create(name="team")
    assert refusal("create_service", name, "--group", group) == sentence


def test_create_service_token_prints_it_once(export):
    made = json.loads(manage("create_service_token", "export", *ANYWHERE, "--json"))
    assert token_format.is_well_formed(made["token"])
    assert made["user"] == "export"


def test_create_service_token_refuses_a_person(alice):
    assert refusal("create_service_token", "alice", *ANYWHERE) == "alice is no service. Use create_token."


# revoke_token ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(alice):
    return make_token(alice, Wish(name="laptop", days=1, decode=True), actor=OPERATOR)


def test_revoke_token_ends_it_by_its_id(made):
    token, _ = made
    said = manage("revoke_token", token.label, "--reason", "lost")
    assert said == f"The token {token.label}, laptop of alice, opens nothing any more.\n"
    token.refresh_from_db()
    assert (token.state, token.revoke_reason) == ("revoked", "lost")


@pytest.mark.parametrize("end", ["", "\n"])
def test_revoke_token_ends_one_that_was_found_somewhere(made, end):
    token, text = made
    printed = manage("revoke_token", "-", "--reason", "leaked", stdin=(text.reveal + end).encode())
    token.refresh_from_db()
    assert token.state == "revoked"
    canary.check("what revoke_token prints", printed)


@pytest.mark.parametrize("label", ["nothing", "000000000000", "", "%"])
def test_revoke_token_refuses_an_id_that_names_nothing(made, label):
    assert refusal("revoke_token", label, "--reason", "x") == "There is no such token."


def test_revoke_token_refuses_input_that_is_no_token(made):
    with pytest.raises(CommandError, match="There is no such token"):
        manage("revoke_token", "-", "--reason", "x", stdin=b"something else")


def test_revoke_token_asks_for_a_reason(made):
    with pytest.raises(CommandError, match="--reason"):
        manage("revoke_token", made[0].label)
    assert refusal("revoke_token", made[0].label, "--reason", " ") == "Say why the token ends."


# list_tokens ----------------------------------------------------------------------------------------------------------


def test_list_tokens_shows_each_and_no_token(made, export):
    make_token(export, Wish(name="job", days=1, encode=True), actor=OPERATOR)
    printed = manage("list_tokens")
    assert [line.split()[1] for line in printed.splitlines()] == ["export", "alice"]
    assert made[0].label in printed
    assert made[0].digest not in printed
    canary.check("what list_tokens prints", printed)


def test_list_tokens_of_one_person(made, export):
    make_token(export, Wish(name="job", days=1, encode=True), actor=OPERATOR)
    assert [token["name"] for token in json.loads(manage("list_tokens", "alice", "--json"))] == ["laptop"]


def test_list_tokens_says_what_has_ended(made):
    ApiToken.objects.update(expires_at=timezone.now())
    assert json.loads(manage("list_tokens", "--json"))[0]["state"] == "expired"


def test_list_tokens_refuses_an_unknown_person(db):
    assert refusal("list_tokens", "nobody") == "There is no user nobody."
