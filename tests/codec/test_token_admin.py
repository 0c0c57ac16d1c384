"""Tokens, services and sessions in the admin: who may do what, and that no token ever shows there."""

import re

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from codec import token_format
from codec.models import ApiToken, User, UserSession
from codec.services import create_service
from codec.tokens import Wish, make_token, revoke_token
from keys.models import AuditRecord
from tests import canary
from tests.conftest import OPERATOR, CodecClient, signed_in

WHY = {"reason": "ticket 4711"}


@pytest.fixture
def staff(db):
    """Return a function that gives the browser of carol, a member of staff with these permissions and no more."""

    def browser(*permissions: str) -> CodecClient:
        carol = User.objects.create_user("carol", "carol@example.com", canary.PASSWORD, is_staff=True)
        carol.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return signed_in(carol)

    return browser


@pytest.fixture
def team(db) -> Group:
    return Group.objects.create(name="team")


@pytest.fixture
def export(team) -> User:
    return create_service("export", team)


@pytest.fixture
def token(alice) -> ApiToken:
    return make_token(alice, Wish(name="laptop", days=1, decode=True), actor=OPERATOR)[0]


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


# Tokens ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["in-force", "expired", "revoked"])
def test_list_is_narrowed_to_a_state(bobs_browser, alice, token, state):
    make_token(alice, Wish(name="desktop", days=1, decode=True), actor=OPERATOR)
    lost, _ = make_token(alice, Wish(name="old phone", days=1, decode=True), actor=OPERATOR)
    revoke_token(lost, actor=OPERATOR, **WHY)
    ApiToken.objects.filter(name="desktop").update(expires_at=timezone.now())
    page = bobs_browser.get(f"/admin/codec/apitoken/?state={state}").content.decode()
    names = {"laptop": "in-force", "desktop": "expired", "old phone": "revoked"}
    assert {name for name in names if name in page} == {name for name, its in names.items() if its == state}


def test_list_is_narrowed_to_services(bobs_browser, export, token):
    make_token(export, Wish(name="nightly", days=1, decode=True), actor=OPERATOR)
    page = bobs_browser.get("/admin/codec/apitoken/?user__is_service__exact=1").content.decode()
    assert ("nightly" in page, "laptop" in page) == (True, False)


def test_pages_show_the_token_by_its_label_alone(bobs_browser, token):
    for page in ("", f"{token.pk}/change/", f"{token.pk}/revoke/"):
        content = bobs_browser.get(f"/admin/codec/apitoken/{page}").content.decode()
        assert "laptop" in content
        assert token.digest not in content
    assert f"token {token.label}" in bobs_browser.get(f"/admin/codec/apitoken/{token.pk}/change/").content.decode()


@pytest.mark.parametrize("page", ["add/", "{pk}/delete/"])
def test_tokens_are_neither_added_nor_deleted(bobs_browser, token, page):
    assert bobs_browser.get(f"/admin/codec/apitoken/{page.format(pk=token.pk)}").status_code == 403


def test_tokens_are_not_changed(bobs_browser, token):
    assert bobs_browser.post(f"/admin/codec/apitoken/{token.pk}/change/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("lookup", ["digest__startswith", "digest", "user__password__startswith"])
def test_list_cannot_be_used_to_guess_a_digest(bobs_browser, token, lookup):
    assert bobs_browser.get(f"/admin/codec/apitoken/?{lookup}=a").status_code in {302, 400}


def test_revoking_asks_why_and_ends_it(bobs_browser, token):
    bobs_browser.post(f"/admin/codec/apitoken/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.state == "in force"
    bobs_browser.post(f"/admin/codec/apitoken/{token.pk}/revoke/", WHY)
    token.refresh_from_db()
    assert (token.state, token.revoked_by, token.revoke_reason) == ("revoked", "bob", "ticket 4711")


def test_revoking_twice_is_told(bobs_browser, token):
    bobs_browser.post(f"/admin/codec/apitoken/{token.pk}/revoke/", WHY)
    content = bobs_browser.post(f"/admin/codec/apitoken/{token.pk}/revoke/", WHY).content.decode()
    assert "This token is revoked already." in content


@pytest.mark.parametrize(
    ("permissions", "see", "revoke"),
    [((), 403, 403), (("view_apitoken",), 200, 403), (("view_apitoken", "change_apitoken"), 200, 200)],
    ids=["none", "view", "change"],
)
def test_permissions_decide_who_sees_and_revokes(staff, token, permissions, see, revoke):
    browser = staff(*permissions)
    assert browser.get(f"/admin/codec/apitoken/{token.pk}/change/").status_code == see
    assert browser.get(f"/admin/codec/apitoken/{token.pk}/revoke/").status_code == revoke


# Services -------------------------------------------------------------------------------------------------------------


def test_approver_creates_a_service(staff, team):
    staff("add_grant").post("/admin/codec/service/add/", {"username": "export", "group": team.pk})
    service = User.objects.get(username="export")
    assert (service.is_service, service.owner_group, service.has_usable_password()) == (True, team, False)
    assert last("user:created").actor_name == "carol"


@pytest.mark.parametrize("username", ["alice", "", "a b"])
def test_service_that_cannot_be_is_told(staff, alice, team, username):
    answer = staff("add_grant").post("/admin/codec/service/add/", {"username": username, "group": team.pk})
    assert answer.status_code == 200
    assert not User.objects.filter(is_service=True).exists()


def test_disabling_is_recorded(staff, export):
    staff("add_grant").post(f"/admin/codec/service/{export.pk}/change/", {})
    export.refresh_from_db()
    assert not export.is_active
    assert last("user:changed").details["changes"] == {"is_active": False}


def test_form_changes_nothing_else(staff, export):
    fields = {"is_active": "on", "username": "other", "password": "x", "is_staff": "on", "is_superuser": "on"}
    staff("add_grant").post(f"/admin/codec/service/{export.pk}/change/", fields)
    export.refresh_from_db()
    assert (export.username, export.is_staff, export.has_usable_password()) == ("export", False, False)


@pytest.mark.parametrize("permissions", [(), ("view_user", "change_user"), ("add_user", "change_service")])
def test_others_neither_create_nor_change_services(staff, export, team, permissions):
    browser = staff(*permissions)
    assert browser.post("/admin/codec/service/add/", {"username": "x", "group": team.pk}).status_code == 403
    assert browser.post(f"/admin/codec/service/{export.pk}/change/", {}).status_code == 403


def test_services_are_not_deleted(bobs_browser, export):
    assert bobs_browser.get(f"/admin/codec/service/{export.pk}/delete/").status_code == 403


def test_people_are_no_services(bobs_browser, alice):
    assert bobs_browser.get(f"/admin/codec/service/{alice.pk}/change/").status_code == 302


def test_pages_of_people_lead_to_the_services_own(bobs_browser, export):
    answer = bobs_browser.get(f"/admin/codec/user/{export.pk}/change/")
    assert answer["Location"] == f"/admin/codec/service/{export.pk}/change/"


@pytest.mark.parametrize("method", ["get", "post"])
def test_service_gets_no_password_page(bobs_browser, export, method):
    password = {"password1": "another-password-51", "password2": "another-password-51", "usable_password": "true"}
    answer = getattr(bobs_browser, method)(f"/admin/codec/user/{export.pk}/password/", password)
    assert answer.status_code in {302, 404}
    export.refresh_from_db()
    assert not export.has_usable_password()


def make(browser: CodecClient, service: User, **changed: str):
    fields = {"name": "production", "decode": "on", "reach": "every", "days": "30", **WHY} | changed
    return browser.post(f"/services/{service.pk}/tokens/", fields)


def test_approver_makes_a_token_that_is_shown_once(staff, export):
    browser = staff("add_grant", "view_apitoken")
    token = re.search(token_format.REGEX, make(browser, export).content.decode())[0]
    assert ApiToken.objects.get().digest == token_format.digest(token)
    assert token not in browser.get(f"/admin/codec/service/{export.pk}/change/").content.decode()


def test_making_is_recorded_with_approver_and_reason(staff, export):
    make(staff("add_grant"), export)
    record = last("token:made")
    assert (record.actor_name, record.details["user"], record.details["reason"]) == ("carol", "export", "ticket 4711")


def test_token_of_a_service_takes_a_reason(staff, export):
    assert make(staff("add_grant"), export, reason=" ").status_code == 200
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("permissions", [(), ("change_grant", "view_grant", "change_apitoken", "change_service")])
def test_others_make_no_token(staff, export, permissions):
    assert make(staff(*permissions), export).status_code == 403
    assert not ApiToken.objects.exists()


def test_approver_who_is_not_staff_makes_no_token(alice, export):
    alice.user_permissions.add(Permission.objects.get(codename="add_grant"))
    assert make(signed_in(alice), export).status_code == 403


def test_no_token_is_made_for_a_person(bobs_browser, alice):
    assert make(bobs_browser, alice).status_code == 404


# Ending a person's sessions -------------------------------------------------------------------------------------------


def test_administrator_ends_all_sessions_of_a_person(bobs_browser, browser, alice):
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/end_sessions/", WHY)
    assert browser.call("/decode").status_code == 401
    assert bobs_browser.get("/admin/").status_code == 200
    record = last("session:ended")
    assert (record.actor_name, record.details["user"], record.details["sessions"]) == ("bob", "alice", 1)
    assert record.details["reason"] == "ticket 4711"


def test_ending_asks_why(bobs_browser, browser, alice):
    assert "Can it be undone?" in bobs_browser.get(f"/admin/codec/user/{alice.pk}/end_sessions/").content.decode()
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/end_sessions/")
    assert browser.call("/decode").status_code == 200


def test_button_says_how_many_there_are(bobs_browser, browser, alice):
    signed_in(alice)
    content = bobs_browser.get(f"/admin/codec/user/{alice.pk}/change/").content.decode()
    assert "End 2 sessions" in content


def test_button_is_missing_without_sessions(bobs_browser, alice):
    assert "end_sessions" not in bobs_browser.get(f"/admin/codec/user/{alice.pk}/change/").content.decode()


@pytest.mark.parametrize("permissions", [(), ("view_user",)])
def test_others_end_no_sessions(staff, browser, alice, permissions):
    assert staff(*permissions).post(f"/admin/codec/user/{alice.pk}/end_sessions/", WHY).status_code == 403
    assert browser.call("/decode").status_code == 200


def test_only_a_superuser_ends_the_sessions_of_one(staff, bobs_browser, bob):
    carols = staff("view_user", "change_user")
    assert carols.post(f"/admin/codec/user/{bob.pk}/end_sessions/", WHY).status_code == 403
    assert UserSession.objects.filter(user_id=bob.pk).exists()
