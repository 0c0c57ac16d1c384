"""Taking a namespace out of use and back into it, by command and by page."""

import pytest
from django.core.management import CommandError

from codec.models import User
from keys.models import AuditRecord, Namespace
from keys.namespaces import restore_namespace, retire_namespace
from tests import canary
from tests.commands import manage
from tests.conftest import OPERATOR, signed_in

WHY = {"actor": OPERATOR, "reason": "merged into billing"}
FORM = {"reason": "merged into billing", "password": canary.PASSWORD}


@pytest.fixture
def retired(payments) -> Namespace:
    return retire_namespace(payments, **WHY)


def page(verb: str) -> str:
    return f"/admin/keys/namespace/{Namespace.objects.get().pk}/{verb}/"


def is_retired() -> bool:
    return Namespace.objects.get().retired_at is not None


def last() -> AuditRecord:
    return AuditRecord.objects.latest("id")


def test_retired_namespace_decodes_and_encodes_nothing_from_the_next_request_on(browser, payments):
    assert browser.call("/decode").status_code == browser.call("/encode").status_code == 200
    retire_namespace(payments, **WHY)
    assert browser.call("/decode").status_code == browser.call("/encode").status_code == 403
    assert last().reason == "namespace_retired"


def test_restored_namespace_reads_what_was_encoded_before(browser, encoded, payments):
    retire_namespace(payments, **WHY)
    restore_namespace(payments, **WHY)
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 200


def test_retiring_and_restoring_are_recorded(retired):
    assert (last().action, last().namespace, last().details) == (
        "namespace:retired",
        "payments",
        {"reason": "merged into billing"},
    )
    restore_namespace(retired, **WHY)
    assert last().action == "namespace:restored"


def test_commands(payments):
    said = manage("retire_namespace", "payments", "--reason", "merged")
    assert said == "Nothing is decoded or encoded in payments any more.\n"
    assert is_retired()
    assert manage("restore_namespace", "payments", "--reason", "split") == "payments is in use again.\n"
    assert not is_retired()


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["retire_namespace", "nowhere", "--reason", "x"], "There is no namespace nowhere."),
        (["retire_namespace", "payments", "--reason", " "], "Say why, in a few words."),
        (["restore_namespace", "payments", "--reason", "x"], "payments is not retired."),
    ],
)
def test_commands_refuse(payments, arguments, refused):
    with pytest.raises(CommandError, match=refused):
        manage(*arguments)
    assert not is_retired()


def test_retired_namespace_is_not_retired_again(retired):
    with pytest.raises(CommandError, match="retired already"):
        manage("retire_namespace", "payments", "--reason", "x")


# Pages ----------------------------------------------------------------------------------------------------------------


def test_page_says_what_changes_and_asks_why(bobs_browser, payments):
    shown = bobs_browser.get(page("retire")).content.decode()
    assert all(part in shown for part in ("What changes", "What stays", "Can it be undone?", 'name="reason"'))
    assert not is_retired()


def test_page_retires_and_restores(bobs_browser, payments):
    bobs_browser.post(page("retire"), FORM)
    assert is_retired()
    assert (last().actor_name, last().action) == ("bob", "namespace:retired")
    assert "Retired" in bobs_browser.get(page("change")).content.decode()
    bobs_browser.post(page("restore"), FORM)
    assert not is_retired()


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"password": "wrong"}, {"password": ""}])
def test_page_wants_a_reason_and_the_password(bobs_browser, payments, wrong):
    bobs_browser.post(page("retire"), FORM | wrong)
    assert not is_retired()


@pytest.mark.parametrize("permission", ["view_namespace", "change_grant"])
def test_staff_who_may_not_change_namespaces_do_not_retire(payments, permission):
    from django.contrib.auth.models import Permission

    carol = User.objects.create_user("carol", password=canary.PASSWORD, is_staff=True)
    carol.user_permissions.set(Permission.objects.filter(codename=permission))
    assert signed_in(carol).post(page("retire"), FORM).status_code == 403
    assert not is_retired()
