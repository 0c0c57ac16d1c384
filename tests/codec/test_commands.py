"""The commands about people and rights: what they do and say, and each refusal as one sentence."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone
from uvicorn.importer import import_from_string
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from codec.grants import give_grant, grants_in_force
from codec.management.commands import serve
from codec.models import Grant, User
from keys import epoch
from keys.actor import operator
from keys.models import AuditRecord, KeyVersion, Namespace
from keys.wrapping import provider
from tests import canary
from tests.commands import manage
from tests.conftest import CodecClient


@pytest.fixture
def sentence():
    """Return a function that runs a command to be refused, and gives its one sentence."""

    def refusal(*arguments: str) -> str:
        with pytest.raises(CommandError) as refused:
            manage(*arguments)
        assert re.fullmatch(r"[^\n]+\.", str(refused.value))
        return str(refused.value)

    return refusal


# grant ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verbs", "said"),
    [
        (["--decode"], "decode"),
        (["--encode"], "encode"),
        (["--decode", "--encode"], "decode and encode"),
    ],
)
def test_grant_gives_the_verbs_it_says(alice, payments, verbs, said):
    assert manage("grant", "alice", "payments", *verbs, "--reason", "on call") == f"alice may now {said} in payments.\n"
    assert grants_in_force(alice).get().verbs == said


def test_grant_records_the_operator_and_the_reason(alice, payments):
    manage("grant", "alice", "payments", "--decode", "--reason", "on call")
    record = AuditRecord.objects.get(action="grant:given")
    assert (record.actor_kind, record.namespace, record.details["reason"]) == ("command", "payments", "on call")


def test_grant_replaces_the_grant_in_force(alice, payments, granted):
    manage("grant", "alice", "payments", "--decode", "--reason", "less is enough")
    assert grants_in_force(alice).get().verbs == "decode"
    assert Grant.objects.get(revoked_at__isnull=False).revoke_reason == "replaced by a new grant"


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["nobody", "payments", "--decode", "--reason", "test"], "There is no user nobody."),
        (["alice", "nowhere", "--decode", "--reason", "test"], "There is no namespace nowhere."),
        (["alice", "payments", "--reason", "test"], "Choose at least one: decode, encode, download or lease."),
        (["alice", "payments", "--decode", "--reason", " "], "Say why this is needed."),
        (["alice", "payments", "--decode", "--reason", "x" * 201], "Say it in at most 200 characters."),
    ],
)
def test_grant_refuses(alice, payments, sentence, arguments, refused):
    assert sentence("grant", *arguments) == refused
    assert not Grant.objects.exists()


def test_grant_asks_for_a_reason(alice, payments):
    with pytest.raises(CommandError, match="--reason"):
        manage("grant", "alice", "payments", "--decode")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--download", "--lease"], "alice may now download and lease keys in payments.\n"),
        (["--decode", "--until", "2126-12-01"], "alice may now decode in payments until 2126-12-01 00:00 UTC.\n"),
        (["--decode", "--until", "2126-12-01T08:00+01:00"], "alice may now decode in payments until 2126-12-01 07:00"),
        (["--decode", "--from", "2126-12-01T08:00", "--hours", "2"], "alice may from 2126-12-01 08:00 UTC decode in"),
    ],
)
def test_grant_takes_further_verbs_and_a_period(alice, payments, more, said):
    assert manage("grant", "alice", "payments", *more, "--reason", "test").startswith(said)


def test_grant_for_some_hours_ends_after_them(alice, payments):
    manage("grant", "alice", "payments", "--decode", "--hours", "3", "--reason", "test", "--ticket", "OPS-12")
    grant = grants_in_force(alice).get()
    assert (grant.ends_at - grant.starts_at) // timedelta(minutes=1) in {179, 180}
    assert grant.ticket == "OPS-12"


@pytest.mark.parametrize("wrong", [["--until", "tomorrow"], ["--hours", "2", "--until", "2126-12-01"]])
def test_grant_asks_for_one_sensible_end(alice, payments, wrong):
    with pytest.raises(CommandError):
        manage("grant", "alice", "payments", "--decode", "--reason", "test", *wrong)
    assert not Grant.objects.exists()


@pytest.fixture
def support(alice) -> Group:
    """A group that alice is in."""
    group = Group.objects.create(name="support")
    alice.groups.add(group)
    return group


def test_grant_to_a_group_reaches_its_members(alice, support, payments):
    said = manage("grant", "payments", "--group", "support", "--decode", "--reason", "test")
    assert said == "support may now decode in payments.\n"
    assert grants_in_force(alice).get().group == support


@pytest.mark.parametrize(
    ("whom", "refused"),
    [
        (["payments", "--group", "nobody"], "There is no group nobody."),
        (["payments"], "Name a user, or a group with --group."),
        (["alice", "payments", "--group", "support"], "Name a user, or a group with --group."),
    ],
)
@pytest.mark.parametrize("command", [["grant", "--decode"], ["revoke"]])
def test_grant_and_revoke_want_a_user_or_a_group(support, payments, sentence, command, whom, refused):
    assert sentence(command[0], *whom, *command[1:], "--reason", "test") == refused


# expiring_grants ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ending(alice, mallory, support, payments) -> None:
    """Grants that end in 2, 6 and 20 days, never, and yesterday."""
    now = timezone.now()
    for subject, days in ((alice, 6), (support, 2), (mallory, 20)):
        give_grant(
            subject, payments, decode=True, ends_at=now + timedelta(days=days), actor=operator(), reason=f"{days}"
        )
    give_grant(User.objects.create_user("carol"), payments, decode=True, actor=operator(), reason="never")
    over = give_grant(User.objects.create_user("dave"), payments, decode=True, actor=operator(), reason="over")
    Grant.objects.filter(pk=over.pk).update(starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1))


@pytest.mark.parametrize(("days", "reasons"), [([], ["2", "6"]), (["--days", "3"], ["2"]), (["--days", "0"], [])])
def test_expiring_grants_are_listed_the_first_to_end_first(ending, days, reasons):
    listed = json.loads(manage("expiring_grants", "--json", *days))
    assert [grant["reason"] for grant in listed] == reasons


def test_expiring_grants_for_people(ending):
    first, second = manage("expiring_grants").splitlines()
    assert "group support" in first
    assert "alice" in second
    assert manage("expiring_grants", "--days", "0") == "No grant ends that soon.\n"


# revoke ---------------------------------------------------------------------------------------------------------------


def test_revoke_ends_the_grant(alice, payments, granted):
    assert manage("revoke", "alice", "payments", "--reason", "left") == "alice has no grant on payments any more.\n"
    assert not grants_in_force(alice).exists()


def test_revoke_records_the_operator_and_the_reason(alice, payments, granted):
    manage("revoke", "alice", "payments", "--reason", "left the team")
    record = AuditRecord.objects.get(action="grant:revoked")
    assert (record.actor_kind, record.namespace, record.details["reason"]) == ("command", "payments", "left the team")


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["nobody", "payments", "--reason", "test"], "There is no user nobody."),
        (["alice", "nowhere", "--reason", "test"], "alice has no grant on nowhere."),
        (["mallory", "payments", "--reason", "test"], "mallory has no grant on payments."),
        (["alice", "payments", "--reason", " "], "Say why the grant ends."),
        (["alice", "payments", "--reason", "x" * 201], "Say it in at most 200 characters."),
    ],
)
def test_revoke_refuses(alice, mallory, granted, sentence, arguments, refused):
    assert sentence("revoke", *arguments) == refused
    assert grants_in_force(alice).exists()


def test_revoke_refuses_what_has_ended(granted, sentence):
    manage("revoke", "alice", "payments", "--reason", "left")
    assert sentence("revoke", "alice", "payments", "--reason", "left") == "alice has no grant on payments."


def test_revoke_ends_every_grant_of_the_person_there(alice, payments, granted):
    hour = {"ends_at": timezone.now() + timedelta(hours=1)}
    give_grant(alice, payments, decode=True, source=Grant.Source.REQUEST, actor=operator(), reason="test", **hour)
    manage("revoke", "alice", "payments", "--reason", "left")
    assert not grants_in_force(alice).exists()


def test_revoke_says_which_group_still_lets_the_person_in(alice, support, payments, granted):
    manage("grant", "payments", "--group", "support", "--decode", "--reason", "test")
    said = manage("revoke", "alice", "payments", "--reason", "left").splitlines()
    assert said[1:] == ["The group support still lets alice decode there."]


def test_revoke_ends_the_grant_of_a_group(alice, support, payments):
    manage("grant", "payments", "--group", "support", "--decode", "--reason", "test")
    assert manage("revoke", "payments", "--group", "support", "--reason", "test").startswith("support has no grant")
    assert not grants_in_force(alice).exists()


def test_revoke_asks_for_a_reason(granted):
    with pytest.raises(CommandError, match="--reason"):
        manage("revoke", "alice", "payments")


# bootstrap ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def new_kek(settings, tmp_path) -> Path:
    """CODEC_KEK names a file that is not there yet."""
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    return tmp_path / "kek"


def shown_password(printed: str) -> str:
    return re.search(r"^admin password: (\S+)$", printed, re.MULTILINE)[1]


def test_bootstrap_sets_up_a_new_installation(db, new_kek):
    manage("bootstrap")
    admin, namespace = User.objects.get(), Namespace.objects.get()
    assert (admin.username, admin.is_superuser, namespace.name) == ("admin", True, "default")
    assert grants_in_force(admin).get().verbs == "decode and encode"
    assert provider(f"local:{new_kek}").primary_id() == KeyVersion.objects.get().kek_id


def test_bootstrap_shows_a_password_that_signs_in(db, new_kek):
    password = shown_password(manage("bootstrap"))
    assert len(password) >= 20
    assert CodecClient().post("/login/", {"username": "admin", "password": password}).status_code == 302


def test_bootstrap_says_what_to_keep(db, new_kek):
    printed = manage("bootstrap")
    assert "Back it up" in printed
    assert "shown this one time" in printed


def test_bootstrap_again_changes_and_says_nothing(db, new_kek):
    manage("bootstrap")
    before = [list(model.objects.values()) for model in (User, Namespace, KeyVersion, Grant, AuditRecord)]
    assert manage("bootstrap") == ""
    assert before == [list(model.objects.values()) for model in (User, Namespace, KeyVersion, Grant, AuditRecord)]


def test_bootstrap_records_no_password(db, new_kek):
    password = shown_password(manage("bootstrap"))
    assert password not in repr(list(AuditRecord.objects.values()))


def test_bootstrap_adds_no_administrator_beside_other_people(alice, new_kek):
    assert "admin password" not in manage("bootstrap")
    assert User.objects.get() == alice


def test_bootstrap_adds_no_namespace_beside_others(payments):
    manage("bootstrap")
    assert Namespace.objects.get() == payments
    assert not Grant.objects.exists()


def test_bootstrap_makes_no_kek_beside_keys_that_need_another(payments, new_kek, sentence):
    assert "is gone, and this database holds keys that need it. Restore it." in sentence("bootstrap")
    assert not new_kek.exists()


def test_bootstrap_with_a_broken_kek_creates_nothing(db, new_kek, sentence):
    new_kek.write_text("garbage")
    new_kek.chmod(0o600)
    assert "is not an id and 32 random bytes" in sentence("bootstrap")
    assert not User.objects.exists()


# serve ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(db, monkeypatch) -> dict[str, object]:
    """How the HTTP server would be started. tests/codecsite/test_server.py does it, with all that runs beside it."""
    options: dict[str, object] = {}
    monkeypatch.setattr(serve.signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(serve.Command, "_serve", lambda command, config: options.update(vars(config)))
    return options


def test_serve_refuses_without_a_kek(new_kek, served, sentence):
    assert "cannot be read" in sentence("serve")
    assert not served


def test_serve_refuses_a_database_without_the_triggers_of_the_policy_epoch(served, sentence):
    with connection.cursor() as cursor:
        cursor.execute(epoch.TRIGGERS[0].drop(connection.vendor))
    assert epoch.TRIGGERS[0].name in sentence("serve")
    assert not served


def test_serve_believes_no_forwarded_header_and_names_no_software(served):
    manage("serve")
    assert served["proxy_headers"] is served["server_header"] is served["access_log"] is False


def test_serve_parses_with_httptools_which_refuses_ambiguous_messages(served):
    manage("serve")
    assert served["app"] == "codecsite.asgi:application"
    assert issubclass(import_from_string(served["http"]), HttpToolsProtocol)


def test_serve_listens_where_the_settings_say(served, settings):
    settings.CODEC_BIND, settings.PORT = "10.0.0.7", 9000
    manage("serve")
    assert (served["host"], served["port"]) == ("10.0.0.7", 9000)


def test_serve_says_where_to_sign_in_and_what_to_enter(served, settings):
    settings.CODEC_PUBLIC_URL = "https://codec.example.com"
    settings.CODEC_UI_ORIGINS = ["https://temporal.example.com"]
    printed = manage("serve")
    assert "https://codec.example.com/login/" in printed
    assert "In the Temporal Web UI (at https://temporal.example.com)" in printed


# Django's own commands ------------------------------------------------------------------------------------------------


def test_createsuperuser_is_recorded_as_the_operators_act(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", canary.PASSWORD)
    manage("createsuperuser", "--noinput", "--username", "eve", "--email", "")
    record = AuditRecord.objects.get()
    assert (record.action, record.actor_kind) == ("user:created", "command")
    assert (record.details["user"], record.details["is_superuser"]) == ("eve", True)
