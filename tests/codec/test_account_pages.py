"""The pages "My tokens", "My sessions" and the one to change a password: for their owner alone."""

import re

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.test import Client
from django.utils.html import escape

from codec import token_format
from codec.grants import give_grant
from codec.models import ApiToken, User, UserSession
from codec.services import create_service
from codec.session_store import digest
from codec.tokens import Wish, make_token
from keys.models import AuditRecord
from keys.rotation import create_namespace
from tests import canary
from tests.conftest import OPERATOR, PLAIN, CodecClient, signed_in

NEW_PASSWORD = "another-password-51"
PAGES = ["/tokens/", "/sessions/", "/password/"]


def form(namespaces=(), **changed: object) -> dict[str, object]:
    """Return what the form of a new token sends."""
    fields = {"name": "laptop", "decode": "on", "reach": "chosen", "days": "30"} | changed
    chosen = {"namespaces": [namespace.pk for namespace in namespaces]} if namespaces else {}
    return {name: value for name, value in fields.items() if value is not None} | chosen


def token_of(user: User, **wish: object) -> ApiToken:
    wish = {"name": "laptop", "days": 30, "decode": True} | wish
    return make_token(user, Wish(**wish), actor=OPERATOR)[0]


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


@pytest.fixture
def team(db) -> Group:
    return Group.objects.create(name="team")


@pytest.fixture
def service_token(team) -> ApiToken:
    return token_of(create_service("export", team), name="production")


# Who may open them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, "/tokens/1/revoke/", "/services/1/tokens/"])
def test_visitor_is_sent_to_sign_in(db, page):
    assert Client().get(page)["Location"] == f"/login/?next={page}"


@pytest.mark.parametrize("page", ["/sessions/end-all/", "/sessions/0123456789ab/end/"])
def test_visitor_ends_nothing(browser, page):
    assert Client().post(page)["Location"].startswith("/login/")
    assert browser.call("/decode").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_page_is_kept_out_of_caches(browser, page):
    assert "no-store" in browser.get(page)["Cache-Control"]


@pytest.mark.parametrize("page", ["/tokens/", "/sessions/end-all/", "/password/"])
def test_form_without_our_csrf_token_is_403(alice, page):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(page, form()).status_code == 403


@pytest.mark.parametrize("page", ["/sessions/end-all/", "/sessions/0123456789ab/end/"])
def test_get_ends_no_session(browser, page):
    assert browser.get(page).status_code == 405
    assert browser.call("/decode").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_inline_script_or_style(browser, page):
    content = browser.get(page).content.decode()
    assert not re.search(r"<script|<style|\son\w+=|\sstyle=", content)


def test_home_links_to_all_of_them(browser):
    content = browser.get("/").content.decode()
    assert all(f'href="{page}"' in content for page in PAGES)


# Making a token -------------------------------------------------------------------------------------------------------


def test_new_token_is_shown_once_and_works(browser, payments):
    content = browser.post("/tokens/", form([payments])).content.decode()
    token = re.search(token_format.REGEX, content)[0]
    answer = CodecClient().call("/decode", authorization=f"Bearer {token}", origin=None)
    assert answer.status_code == 200
    assert token not in browser.get("/tokens/").content.decode()


def test_page_of_a_new_token_is_kept_out_of_caches(browser, payments):
    assert "no-store" in browser.post("/tokens/", form([payments]))["Cache-Control"]


def test_page_of_a_new_token_writes_out_what_the_cli_takes(browser, payments):
    content = browser.post("/tokens/", form([payments])).content.decode()
    token = re.search(token_format.REGEX, content)[0]
    endpoint = f"{django_settings.CODEC_PUBLIC_URL}/{{namespace}}"
    for line in (
        f'temporal env set --key codec-endpoint --value "{endpoint}"',
        f'temporal env set --key codec-auth --value "Bearer {token}"',
        f'--codec-auth "Bearer {token}" \\\n--codec-endpoint "{endpoint}"',
    ):
        assert line in content


def test_new_token_reaches_what_was_chosen_and_no_more(browser, payments):
    browser.post("/tokens/", form([payments]))
    token = ApiToken.objects.get()
    assert (token.every_namespace, list(token.namespaces.all())) == (False, [payments])
    assert (token.decode, token.encode, token.created_by) == (True, False, "alice")


def test_every_namespace_has_to_be_chosen(browser, payments):
    browser.post("/tokens/", form(reach="every"))
    token = ApiToken.objects.get()
    assert (token.every_namespace, token.namespaces.count()) == (True, 0)


def test_making_is_recorded_with_the_person_and_the_session(browser, payments):
    browser.post("/tokens/", form([payments]))
    record = last("token:made")
    assert (record.actor_name, record.credential[:8], record.details["name"]) == ("alice", "session ", "laptop")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": ""}, "Name it, so that you know it again."),
        ({"decode": None}, "Choose decode, encode or both."),
        ({}, "Choose at least one namespace, or every namespace."),
        ({"days": "91"}, "Select a valid choice. 91 is not one of the available choices."),
        ({"days": "x"}, "Select a valid choice. x is not one of the available choices."),
        ({"reach": "all"}, ""),
    ],
)
def test_form_that_asks_for_what_cannot_be_says_so(browser, changed, sentence):
    content = browser.post("/tokens/", form(**changed)).content.decode()
    assert escape(sentence) in content
    assert not ApiToken.objects.exists()


def test_namespace_without_a_grant_cannot_be_chosen(browser):
    browser.post("/tokens/", form([create_namespace("refunds", actor=OPERATOR)]))
    assert not ApiToken.objects.exists()


def test_verb_without_a_grant_cannot_be_chosen(mallory, payments):
    give_grant(mallory, payments, decode=True, actor=OPERATOR, reason="test")
    signed_in(mallory).post("/tokens/", form([payments], encode="on"))
    assert not ApiToken.objects.get().encode


def test_person_without_grants_is_told_to_ask(mallorys_browser):
    content = mallorys_browser.get("/tokens/").content.decode()
    assert "You have no grant yet" in content
    assert "Make token" not in content


def test_longest_life_is_offered_and_no_longer(browser, settings):
    settings.CODEC_TOKEN_MAX_DAYS = 7
    offered = re.findall(r'<option value="(\d+)"', browser.get("/tokens/").content.decode())
    assert offered == ["1", "7"]


def test_hostile_name_is_escaped(browser, payments):
    browser.post("/tokens/", form([payments], name="<script>alert(1)</script>"))
    content = browser.get("/tokens/").content.decode()
    assert "<script>" not in content
    assert "&lt;script&gt;" in content


# The list -------------------------------------------------------------------------------------------------------------


def test_list_shows_ones_own_tokens_alone(browser, alice, mallory):
    token_of(alice, name="mine")
    token_of(mallory, name="hers")
    content = browser.get("/tokens/").content.decode()
    assert "mine" in content
    assert "hers" not in content


def test_list_shows_the_name_in_audit_records_and_no_digest(browser, alice):
    token = token_of(alice)
    content = browser.get("/tokens/").content.decode()
    assert f"token {token.label}" in content
    assert token.digest not in content


# Revoking -------------------------------------------------------------------------------------------------------------


def test_revoking_asks_first(browser, alice):
    token = token_of(alice)
    assert "Can it be undone?" in browser.get(f"/tokens/{token.pk}/revoke/").content.decode()
    token.refresh_from_db()
    assert token.state == "in force"


def test_revoked_token_is_recorded_with_its_owner(browser, alice):
    token = token_of(alice)
    assert browser.post(f"/tokens/{token.pk}/revoke/")["Location"] == "/tokens/"
    token.refresh_from_db()
    assert (token.state, token.revoked_by) == ("revoked", "alice")
    assert last("token:revoked").details["reason"] == "by its owner"


def test_token_of_somebody_else_is_not_found(mallorys_browser, alice):
    token = token_of(alice)
    answers = [getattr(mallorys_browser, method)(f"/tokens/{token.pk}/revoke/") for method in ("get", "post")]
    assert [answer.status_code for answer in answers] == [404, 404]
    token.refresh_from_db()
    assert token.state == "in force"


def test_superuser_revokes_others_in_the_admin_only(bobs_browser, alice):
    assert bobs_browser.post(f"/tokens/{token_of(alice).pk}/revoke/").status_code == 404


def test_revoking_twice_says_so(browser, alice):
    token = token_of(alice)
    browser.post(f"/tokens/{token.pk}/revoke/")
    content = browser.post(f"/tokens/{token.pk}/revoke/", follow=True).content.decode()
    assert "This token is revoked already." in content


# Tokens of services ---------------------------------------------------------------------------------------------------


def test_member_of_the_owning_group_sees_and_revokes_with_a_reason(alice, team, service_token):
    alice.groups.add(team)
    browser = signed_in(alice)
    assert "production" in browser.get("/tokens/").content.decode()
    browser.post(f"/tokens/{service_token.pk}/revoke/", {"reason": "moved"})
    assert last("token:revoked").details["reason"] == "moved"


def test_member_has_to_give_a_reason(alice, team, service_token):
    alice.groups.add(team)
    signed_in(alice).post(f"/tokens/{service_token.pk}/revoke/")
    service_token.refresh_from_db()
    assert service_token.state == "in force"


def test_others_neither_see_nor_revoke(browser, service_token):
    assert "production" not in browser.get("/tokens/").content.decode()
    assert browser.post(f"/tokens/{service_token.pk}/revoke/", {"reason": "x"}).status_code == 404


@pytest.mark.parametrize("page", ["get", "post"])
def test_member_cannot_make_one(alice, team, service_token, page):
    alice.groups.add(team)
    url = f"/services/{service_token.user_id}/tokens/"
    assert getattr(signed_in(alice), page)(url, form()).status_code == 403


# Sessions -------------------------------------------------------------------------------------------------------------


def test_list_shows_ones_own_sessions_alone(browser, alice, mallorys_browser):
    mine = UserSession.objects.get(user_id=alice.pk)
    UserSession.objects.filter(pk=mine.pk).update(browser="Firefox on Linux", address="192.0.2.7")
    content = browser.get("/sessions/").content.decode()
    assert "Firefox on Linux" in content
    assert "192.0.2.7" in content
    assert content.count("In use now") == 1
    assert "Last seen" not in content


def test_list_holds_neither_cookies_nor_digests(browser, alice):
    signed_in(alice)
    content = browser.get("/sessions/").content.decode()
    for session in UserSession.objects.all():
        assert session.session_key not in content
    assert browser.cookies[django_settings.SESSION_COOKIE_NAME].value not in content


def test_hostile_browser_name_is_escaped_on_the_page(alice, browser):
    UserSession.objects.update(user_agent="<script>")
    assert "<script>" not in browser.get("/sessions/").content.decode()


def test_other_session_is_ended(browser, alice):
    other = signed_in(alice)
    key = digest(other.cookies[django_settings.SESSION_COOKIE_NAME].value)
    browser.post(f"/sessions/{key[:12]}/end/")
    assert [client.call("/decode").status_code for client in (browser, other)] == [200, 401]


def test_session_of_somebody_else_cannot_be_ended(mallorys_browser, browser):
    key = digest(browser.cookies[django_settings.SESSION_COOKIE_NAME].value)
    content = mallorys_browser.post(f"/sessions/{key[:12]}/end/", follow=True).content.decode()
    assert "That session has ended already." in content
    assert browser.call("/decode").status_code == 200


@pytest.mark.parametrize("label", ["", "%", "0123456789a", "0123456789abc", "0123456789AB", "___________x"])
def test_what_is_no_label_is_not_found(browser, label):
    assert browser.post(f"/sessions/{label}/end/").status_code == 404


def test_signing_out_everywhere_ends_all_and_asks_to_sign_in(browser, alice):
    other = signed_in(alice)
    assert browser.post("/sessions/end-all/")["Location"] == "/login/"
    assert [client.call("/decode").status_code for client in (browser, other)] == [401, 401]


def test_signing_out_everywhere_is_recorded(browser):
    browser.post("/sessions/end-all/")
    record = last("session:ended")
    assert (record.actor_name, record.details["sessions"]) == ("alice", 1)


def test_signing_out_everywhere_leaves_others_alone(browser, mallorys_browser):
    browser.post("/sessions/end-all/")
    assert mallorys_browser.get("/").status_code == 200


# Password -------------------------------------------------------------------------------------------------------------


def change_password(client: Client, old: str = canary.PASSWORD, new: str = NEW_PASSWORD):
    return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": new})


def test_changed_password_signs_in(browser):
    assert change_password(browser)["Location"] == "/"
    answer = Client().post("/login/", {"username": "alice", "password": NEW_PASSWORD})
    assert answer.status_code == 302


def test_change_ends_the_other_sessions_and_keeps_this_one(browser, alice):
    other = signed_in(alice)
    change_password(browser)
    assert [client.call("/decode").status_code for client in (browser, other)] == [200, 401]


def test_change_keeps_tokens(browser, alice):
    text = make_token(alice, Wish(name="x", days=1, encode=True), actor=OPERATOR)[1].reveal
    change_password(browser)
    answer = CodecClient().call("/encode", {"payloads": [PLAIN]}, authorization=f"Bearer {text}", origin=None)
    assert answer.status_code == 200


def test_change_is_recorded_with_the_person(browser):
    change_password(browser)
    assert last("user:password-changed").actor_name == "alice"


@pytest.mark.parametrize(
    ("old", "new"), [("wrong", NEW_PASSWORD), (canary.PASSWORD, "short"), (canary.PASSWORD, "123456789012345")]
)
def test_wrong_or_weak_password_changes_nothing(browser, alice, old, new):
    before = User.objects.get().password
    assert change_password(browser, old, new).status_code == 200
    assert User.objects.get().password == before


def test_person_without_a_password_has_no_such_page(alice):
    alice.set_unusable_password()
    alice.save()
    browser = signed_in(alice)
    assert browser.get("/password/").status_code == 404
    assert "/password/" not in browser.get("/").content.decode()


def test_server_without_passwords_has_no_such_page(browser, settings):
    settings.CODEC_LOCAL_PASSWORDS = False
    assert browser.get("/password/").status_code == 404
    assert 'href="/password/"' not in browser.get("/").content.decode()
