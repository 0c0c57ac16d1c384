"""The admin: who may open what, what is never shown, what is never changed, and what is asked and recorded."""

import base64
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError
from django.utils import timezone

from codec.grants import give_grant, grants_in_force, revoke_grant
from codec.models import Grant, User
from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction
from keys.models import AuditRecord, KeyVersion, Namespace
from keys.rotation import create_namespace, import_key
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
def grant(alice, granted) -> Grant:
    return grants_in_force(alice).get()


@pytest.fixture
def pages(canary_key, grant, bob) -> list[str]:
    """Every page of the admin that a person reaches by links."""
    lists = ["keys/namespace", "keys/keyversion", "keys/auditrecord", "codec/grant", "codec/user", "auth/group"]
    lists += ["codec/namespacepolicy", "codec/accessrequest"]
    rows = {"keys/namespace": grant.namespace_id, "keys/keyversion": canary_key.pk, "codec/grant": grant.pk}
    rows |= {"keys/auditrecord": AuditRecord.objects.latest("id").pk, "codec/user": bob.pk}
    of_rows = [f"{model}/{pk}/{page}" for model, pk in rows.items() for page in ("change/", "history/")]
    added = [
        f"{model}/add/"
        for model in ("keys/namespace", "codec/grant", "codec/user", "auth/group", "codec/namespacepolicy")
    ]
    asking = [f"keys/namespace/{grant.namespace_id}/{verb}/" for verb in ("rotate", "retire")]
    asking += [f"codec/grant/{grant.pk}/revoke/", f"codec/grant/revoke/?ids={grant.pk}", "codec/grant/give/"]
    others = ["", "password_change/", f"codec/user/{bob.pk}/password/", "keys/", "codec/"]
    return [f"/admin/{page}" for page in [*others, *(f"{model}/" for model in lists), *of_rows, *added, *asking]]


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


# Who may open it ------------------------------------------------------------------------------------------------------


def test_superuser_opens_every_page(bobs_browser, pages):
    assert {page: bobs_browser.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)


def test_visitor_is_sent_to_sign_in_from_every_page(pages):
    ways = [CodecClient().get(page, follow=True).redirect_chain[-1] for page in pages]
    assert ways == [(f"/login/?{urlencode({'next': page})}", 302) for page in pages]


def test_person_who_is_not_staff_opens_no_page(browser, pages):
    assert {browser.get(page, follow=True).status_code for page in pages} == {403}


def test_staff_without_permissions_opens_the_start_page_and_their_own_password(staff, pages):
    carols_browser = staff()
    opened = [page for page in pages if carols_browser.get(page).status_code == 200]
    assert opened == ["/admin/", "/admin/password_change/"]


def test_disabled_superuser_opens_no_page(bobs_browser):
    User.objects.update(is_active=False)
    assert bobs_browser.get("/admin/").status_code == 302


def test_superuser_who_is_no_staff_opens_no_page(bobs_browser):
    User.objects.update(is_staff=False)
    assert bobs_browser.get("/admin/", follow=True).status_code == 403


def test_there_is_one_page_to_sign_in(db):
    assert CodecClient().get("/admin/login/?next=/admin/keys/").headers["Location"] == "/login/?next=%2Fadmin%2Fkeys%2F"


def test_auditor_reads_records_and_nothing_else(staff, pages):
    carols_browser = staff("view_auditrecord")
    opened = [page for page in pages if carols_browser.get(page).status_code == 200]
    assert [page for page in opened if "auditrecord" not in page] == [
        "/admin/",
        "/admin/password_change/",
        "/admin/keys/",
    ]


def test_start_page_says_what_needs_attention(bobs_browser, payments):
    assert b"Nobody may decode in payments yet." in bobs_browser.get("/admin/").content


# What is never shown --------------------------------------------------------------------------------------------------


def test_no_page_shows_key_material(bobs_browser, pages, canary_key):
    secrets = [form for column in (canary_key.wrapped, canary_key.check_value) for form in forms_of(bytes(column))]
    for page in pages:
        content = bobs_browser.get(page).content.decode()
        canary.check(page, content)
        assert not [secret for secret in secrets if secret in content]


def forms_of(column: bytes) -> list[str]:
    return [column.hex(), base64.b64encode(column).decode(), repr(column), repr(column)[2:-1]]


def test_id_that_is_the_key_is_shown_by_its_digest(bobs_browser, payments):
    version = import_key(payments, canary.DATA_KEY.decode(), canary.DATA_KEY, primary=False, actor=OPERATOR)
    assert version.key_id in bobs_browser.get("/admin/keys/keyversion/").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "keys/keyversion/?wrapped__startswith=a",
        "keys/keyversion/?check_value__startswith=a",
        "keys/keyversion/?key_id_digest__startswith=a",
        "keys/namespace/?key_versions__wrapped__startswith=a",
        "codec/user/?password__startswith=md5",
        "codec/grant/?user__password__startswith=md5",
    ],
)
def test_lists_cannot_be_used_to_guess_secrets(bobs_browser, payments, query):
    assert bobs_browser.get(f"/admin/{query}").status_code == 400


def test_text_in_a_record_is_escaped(bobs_browser):
    mean = "<script>alert(1)</script>"
    mallory = Actor(kind=ActorKind.USER, name=mean, user_agent=mean, address=mean)
    audit.record(AuditAction.PAYLOAD_DECODED, actor=mallory, namespace=mean, details={mean: mean})
    record = AuditRecord.objects.latest("id")
    for page in ("/admin/keys/auditrecord/", f"/admin/keys/auditrecord/{record.pk}/change/"):
        content = bobs_browser.get(page).content.decode()
        assert "&lt;script&gt;alert(1)" in content
        assert mean not in content


# What is never changed ------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(canary_key, grant, mallory) -> dict[str, int]:
    records = AuditRecord.objects.latest("id")
    return {"keyversion": canary_key.pk, "auditrecord": records.pk, "grant": grant.pk, "namespace": grant.namespace_id}


@pytest.mark.parametrize("model", ["keyversion", "auditrecord"])
def test_superuser_cannot_add_it(bobs_browser, model):
    assert bobs_browser.get(f"/admin/keys/{model}/add/").status_code == 403
    assert bobs_browser.post(f"/admin/keys/{model}/add/", {"key_id": "forged", "action": "forged"}).status_code == 403


@pytest.mark.parametrize(("app", "model"), [("keys", "keyversion"), ("keys", "auditrecord"), ("codec", "grant")])
def test_superuser_cannot_change_it(bobs_browser, rows, app, model):
    form = {"key_id": "forged", "state": "DISABLED", "outcome": "denied", "reason": "forged"}
    assert bobs_browser.post(f"/admin/{app}/{model}/{rows[model]}/change/", form).status_code == 403


@pytest.mark.parametrize(
    ("app", "model"), [("keys", "keyversion"), ("keys", "auditrecord"), ("keys", "namespace"), ("codec", "grant")]
)
def test_superuser_cannot_delete_it(bobs_browser, rows, app, model):
    page = f"/admin/{app}/{model}/{rows[model]}/delete/"
    assert bobs_browser.get(page).status_code == bobs_browser.post(page, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("app", "model"), [("keys", "keyversion"), ("keys", "auditrecord"), ("keys", "namespace"), ("codec", "grant")]
)
def test_superuser_cannot_delete_several(bobs_browser, rows, app, model):
    form = {"action": "delete_selected", "_selected_action": [rows[model]], "post": "yes"}
    bobs_browser.post(f"/admin/{app}/{model}/", form)
    assert bobs_browser.get(f"/admin/{app}/{model}/{rows[model]}/change/").status_code == 200


def test_superuser_cannot_delete_people(bobs_browser, mallory):
    page = f"/admin/codec/user/{mallory.pk}/delete/"
    assert bobs_browser.post(page, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("page", ["change/", "password/"])
def test_page_of_what_is_not_there_leads_back(bobs_browser, page):
    assert bobs_browser.get(f"/admin/codec/user/999999/{page}").status_code in {302, 404}


# Namespaces -----------------------------------------------------------------------------------------------------------


def namespace_form(**changed: object) -> dict[str, object]:
    form = {"denied_decode": "refuse", "codec_chain": "zlib,aes-gcm", "history_retention_days": 30}
    return form | changed


@pytest.fixture
def namespace_page(payments) -> str:
    return f"/admin/keys/namespace/{payments.pk}/change/"


def test_new_namespace_gets_a_key(bobs_browser):
    bobs_browser.post("/admin/keys/namespace/add/", {"name": "payroll"})
    assert Namespace.objects.get().key_versions.get().is_primary
    assert (last("namespace:created").namespace, last("namespace:created").actor_name) == ("payroll", "bob")


@pytest.mark.parametrize("name", ["", "a b", "../etc", "ä", "payments"])
def test_name_that_cannot_be_is_refused_on_the_form(bobs_browser, payments, name):
    answer = bobs_browser.post("/admin/keys/namespace/add/", {"name": name})
    assert (answer.status_code, Namespace.objects.count()) == (200, 1)


def test_namespace_without_a_kek_is_refused_with_a_sentence(bobs_browser, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    answer = bobs_browser.post("/admin/keys/namespace/add/", {"name": "payroll"}, follow=True)
    assert b"cannot be read: FileNotFoundError." in answer.content
    assert not Namespace.objects.exists()


def test_changed_namespace_is_recorded_with_what_changed(bobs_browser, namespace_page):
    bobs_browser.post(namespace_page, namespace_form(denied_decode="return_encoded"))
    record = last("namespace:changed")
    assert (record.actor_name, record.namespace) == ("bob", "payments")
    assert record.details["changes"]["denied_decode"] == "return_encoded"
    assert Namespace.objects.get().denied_decode == "return_encoded"


def test_namespace_is_never_renamed(bobs_browser, namespace_page):
    bobs_browser.post(namespace_page, namespace_form(name="renamed"))
    assert Namespace.objects.get().name == "payments"


def test_chain_without_encryption_is_refused(bobs_browser, namespace_page):
    assert bobs_browser.post(namespace_page, namespace_form(codec_chain="zlib")).status_code == 200
    assert Namespace.objects.get().codec_chain == "zlib,aes-gcm"


def test_namespace_change_that_cannot_be_recorded_is_undone(bobs_browser, namespace_page, audit_unwritable):
    with pytest.raises(DatabaseError):
        bobs_browser.post(namespace_page, namespace_form(denied_decode="return_encoded"))
    assert Namespace.objects.get().denied_decode == "refuse"


# Rotate ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rotate_page(payments) -> str:
    return f"/admin/keys/namespace/{payments.pk}/rotate/"


def test_rotate_page_says_what_changes_and_asks_why(bobs_browser, rotate_page):
    page = bobs_browser.get(rotate_page).content.decode()
    assert all(part in page for part in ("What changes", "What stays", "Can it be undone?", 'name="reason"'))


def test_looking_at_the_rotate_page_changes_nothing(bobs_browser, rotate_page):
    bobs_browser.get(rotate_page, WHY)
    assert KeyVersion.objects.get().is_primary


def test_rotating_with_a_reason_makes_a_new_primary(bobs_browser, rotate_page, payments):
    answer = bobs_browser.post(rotate_page, WHY, follow=True)
    primary = payments.key_versions.get(is_primary=True)
    assert (primary.number, payments.key_versions.count()) == (2, 2)
    assert f"Key {primary.key_id} is the new primary." in answer.content.decode()


def test_rotating_is_recorded_with_person_and_reason(bobs_browser, rotate_page):
    bobs_browser.post(rotate_page, WHY)
    record = last("key:made-primary")
    assert (record.actor_name, record.actor_kind, record.details["reason"]) == ("bob", "user", "ticket 4711")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_rotating_without_a_usable_reason_changes_nothing(bobs_browser, rotate_page, reason):
    assert b"errorlist" in bobs_browser.post(rotate_page, {"reason": reason}).content
    assert KeyVersion.objects.get().is_primary


def test_rotating_without_a_form_token_is_refused(bob, rotate_page):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(bob)
    assert thief.post(rotate_page, WHY).status_code == 403
    assert KeyVersion.objects.get().is_primary


def test_rotating_without_a_kek_is_refused_with_a_sentence(bobs_browser, rotate_page, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    assert b"cannot be read: FileNotFoundError." in bobs_browser.post(rotate_page, WHY).content
    assert KeyVersion.objects.get().is_primary


def test_rotating_that_cannot_be_recorded_is_undone(bobs_browser, rotate_page, audit_unwritable):
    with pytest.raises(DatabaseError):
        bobs_browser.post(rotate_page, WHY)
    assert KeyVersion.objects.get().is_primary


@pytest.mark.parametrize(
    "permissions", [["view_namespace"], ["view_namespace", "change_keyversion"], ["add_namespace"]]
)
def test_staff_who_may_not_change_namespaces_cannot_rotate(staff, rotate_page, permissions):
    carols_browser = staff(*permissions)
    assert carols_browser.get(rotate_page).status_code == carols_browser.post(rotate_page, WHY).status_code == 403
    assert KeyVersion.objects.get().is_primary


def test_staff_who_may_change_namespaces_can_rotate(staff, rotate_page):
    staff("view_namespace", "change_namespace").post(rotate_page, WHY)
    assert last("key:made-primary").actor_name == "carol"


def test_there_is_nothing_to_rotate_where_no_namespace_is(bobs_browser):
    assert bobs_browser.get("/admin/keys/namespace/999999/rotate/").status_code == 404


# Grants ---------------------------------------------------------------------------------------------------------------


def grant_form(alice: User, payments: Namespace, **changed: object) -> dict[str, object]:
    form = {"user": alice.pk, "namespace": payments.pk, "decode": "on", **WHY} | changed
    return {name: value for name, value in form.items() if value is not None}


def until(days: int) -> dict[str, object]:
    """The two fields of an end so many days from now."""
    end = timezone.now() + timedelta(days=days)
    return {"ends_at_0": f"{end:%Y-%m-%d}", "ends_at_1": "12:00"}


def give(browser: CodecClient, *whom: object, **changed: object) -> str:
    """Send the form and return what the person sees next."""
    return browser.post("/admin/codec/grant/add/", grant_form(*whom, **changed), follow=True).content.decode()


def test_grant_is_given_with_a_reason(bobs_browser, alice, payments):
    give(bobs_browser, alice, payments)
    grant = grants_in_force(alice).get()
    assert (grant.verbs, grant.reason, grant.granted_by) == ("decode", "ticket 4711", "bob")


def test_given_grant_is_recorded_with_the_administrator(bobs_browser, alice, payments):
    give(bobs_browser, alice, payments)
    record = last("grant:given")
    assert (record.actor_name, record.namespace, record.address) == ("bob", "payments", "127.0.0.1")
    told = ("user", "verbs", "reason", "source")
    assert [record.details[name] for name in told] == ["alice", "decode", "ticket 4711", "by hand"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"reason": ""}, "This field is required."),
        ({"reason": "  "}, "This field is required."),
        ({"reason": "x" * 201}, "at most 200 characters"),
        ({"decode": None}, "Choose at least one: decode, encode, download or lease."),
        ({"user": None}, "Choose a user or a group."),
        ({"ends_at_0": "2020-01-01", "ends_at_1": "00:00"}, "not in the past"),
        ({"user": 999999}, "Select a valid choice."),
        ({"namespace": 999999}, "Select a valid choice."),
    ],
)
def test_grant_that_cannot_be_given_is_refused_with_a_sentence(bobs_browser, alice, payments, changed, sentence):
    assert sentence in give(bobs_browser, alice, payments, **changed)
    assert not Grant.objects.exists()


def test_grant_to_oneself_is_refused(bobs_browser, bob, payments):
    assert "Nobody can give a grant to themselves." in give(bobs_browser, bob, payments)
    assert not Grant.objects.exists()


def test_grant_on_a_retired_namespace_is_refused(bobs_browser, alice, payments):
    Namespace.objects.update(retired_at=timezone.now())
    assert "This namespace is retired." in give(bobs_browser, alice, payments)


def test_second_grant_replaces_the_first(bobs_browser, alice, payments, granted):
    give(bobs_browser, alice, payments)
    assert grants_in_force(alice).get().verbs == "decode"
    assert Grant.objects.get(revoked_at__isnull=False).revoked_by == "bob"


def test_grant_that_cannot_be_recorded_is_not_given(bobs_browser, alice, payments, audit_unwritable):
    with pytest.raises(DatabaseError):
        give(bobs_browser, alice, payments)
    assert not Grant.objects.exists()


def test_grant_without_a_form_token_is_refused(bob, alice, payments):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(bob)
    assert thief.post("/admin/codec/grant/add/", grant_form(alice, payments)).status_code == 403
    assert not Grant.objects.exists()


def test_staff_who_may_add_grants_give_them_to_others_alone(staff, alice, payments):
    carols_browser, tomorrow = staff("view_grant", "add_grant"), until(1)
    give(carols_browser, alice, payments, **tomorrow)
    give(carols_browser, User.objects.get(username="carol"), payments, **tomorrow)
    assert Grant.objects.get().user == alice


def test_staff_who_may_add_grants_give_none_without_an_end(staff, alice, payments):
    assert "Say when it ends" in give(staff("view_grant", "add_grant"), alice, payments)
    assert not Grant.objects.exists()


def test_grant_to_oneself_is_recorded_as_denied(bobs_browser, bob, payments):
    give(bobs_browser, bob, payments)
    assert (last("grant:given").outcome, last("grant:given").reason) == ("denied", "to_oneself")


def test_grant_to_a_group_is_given(bobs_browser, alice, payments):
    support = Group.objects.create(name="support")
    give(bobs_browser, alice, payments, user=None, group=support.pk)
    assert Grant.objects.get().group == support


def test_grant_to_a_user_and_a_group_at_once_is_refused(bobs_browser, alice, payments):
    support = Group.objects.create(name="support")
    assert "Choose a user or a group." in give(bobs_browser, alice, payments, group=support.pk)


def test_form_proposes_an_end(bobs_browser):
    in_a_month = timezone.now() + timedelta(days=30)
    assert f'value="{in_a_month:%Y-%m-%d}"' in bobs_browser.get("/admin/codec/grant/add/").content.decode()


# Several grants at once -----------------------------------------------------------------------------------------------

GIVE = "/admin/codec/grant/give/"


@pytest.fixture
def refunds(db) -> Namespace:
    return create_namespace("refunds", actor=OPERATOR)


@pytest.fixture
def several(alice, mallory, payments, refunds) -> dict[str, object]:
    """The form that gives alice, mallory and a group a grant on two namespaces."""
    support = Group.objects.create(name="support")
    whom = {"users": [alice.pk, mallory.pk], "groups": [support.pk], "namespaces": [payments.pk, refunds.pk]}
    return whom | {"decode": "on", **until(1), **WHY}


def test_several_grants_are_given_at_once(bobs_browser, several):
    assert "6 grants given." in bobs_browser.post(GIVE, several, follow=True).content.decode()
    assert {str(grant) for grant in Grant.objects.all()} == {
        f"{subject} on {name}" for subject in ("alice", "mallory", "support") for name in ("payments", "refunds")
    }
    assert AuditRecord.objects.filter(action="grant:given", actor_name="bob").count() == 6


def test_all_are_given_or_none(bobs_browser, bob, several):
    page = bobs_browser.post(GIVE, several | {"users": [*several["users"], bob.pk]}).content.decode()
    assert "Nobody can give a grant to themselves." in page
    assert not Grant.objects.exists()
    assert last("grant:given").outcome == "denied"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"users": [], "groups": []}, "Choose at least one user or group."),
        ({"namespaces": []}, "This field is required."),
        ({"reason": " "}, "This field is required."),
        ({"decode": ""}, "Choose at least one: decode"),
    ],
)
def test_several_that_cannot_be_given_are_refused_with_a_sentence(bobs_browser, several, changed, sentence):
    assert sentence in bobs_browser.post(GIVE, several | changed).content.decode()
    assert not Grant.objects.exists()


def test_list_of_users_leads_there(bobs_browser, alice, mallory):
    form = {"action": "give_grants", "_selected_action": [alice.pk, mallory.pk]}
    page = bobs_browser.post("/admin/codec/user/", form, follow=True).content.decode()
    assert page.count("checked") == 3  # alice, mallory, decode


@pytest.mark.parametrize("permission", ["view_grant", "change_grant", "change_user"])
def test_staff_who_may_not_add_grants_give_not_several_either(staff, several, permission):
    carols_browser = staff(permission, "view_user")
    assert carols_browser.get(GIVE).status_code == carols_browser.post(GIVE, several).status_code == 403
    assert not Grant.objects.exists()


@pytest.fixture
def three(alice, mallory, payments, refunds) -> list[Grant]:
    """Two grants in force, and one that is over."""
    grants = [
        give_grant(person, space, decode=True, actor=OPERATOR, reason="test")
        for person, space in ((alice, payments), (mallory, payments), (alice, refunds))
    ]
    revoke_grant(grants[2], actor=OPERATOR, reason="test")
    return grants


def choose(browser: CodecClient, grants: list[Grant]) -> str:
    """Choose grants in the list, and return the page that asks why."""
    form = {"action": "revoke_selected", "_selected_action": [grant.pk for grant in grants]}
    return browser.post("/admin/codec/grant/", form).headers["Location"]


def test_several_grants_are_revoked_at_once(bobs_browser, three):
    page = choose(bobs_browser, three)
    assert "Revoke 2 grants?" in bobs_browser.get(page).content.decode()
    assert "2 grants ended." in bobs_browser.post(page, WHY, follow=True).content.decode()
    assert not Grant.objects.in_force(timezone.now()).exists()
    assert AuditRecord.objects.filter(action="grant:revoked", actor_name="bob").count() == 2


def test_revoking_several_without_a_reason_changes_nothing(bobs_browser, three):
    assert b"errorlist" in bobs_browser.post(choose(bobs_browser, three), {"reason": " "}).content
    assert Grant.objects.in_force(timezone.now()).count() == 2


def test_staff_who_may_not_change_grants_revoke_not_several_either(staff, bobs_browser, three):
    page, carols_browser = choose(bobs_browser, three), staff("view_grant", "add_grant")
    assert "revoke_selected" not in carols_browser.get("/admin/codec/grant/").content.decode()
    assert carols_browser.get(page).status_code == carols_browser.post(page, WHY).status_code == 403
    assert Grant.objects.in_force(timezone.now()).count() == 2


@pytest.mark.parametrize(("state", "number"), [("in-force", 2), ("over", 1), ("not-yet", 0), ("soon", 0)])
def test_grants_are_filtered_by_state(bobs_browser, three, state, number):
    page = bobs_browser.get("/admin/codec/grant/", {"state": state}).content.decode()
    assert f"{number} grant{'' if number == 1 else 's'}" in page


@pytest.mark.parametrize("permission", ["view_grant", "change_grant", "change_user"])
def test_staff_who_may_not_add_grants_give_none(staff, alice, payments, permission):
    page = "/admin/codec/grant/add/"
    assert staff(permission).post(page, grant_form(alice, payments)).status_code == 403


@pytest.fixture
def revoke_page(grant) -> str:
    return f"/admin/codec/grant/{grant.pk}/revoke/"


def test_revoke_page_says_what_changes_and_asks_why(bobs_browser, revoke_page):
    page = bobs_browser.get(revoke_page).content.decode()
    assert all(part in page for part in ("What changes", "What stays", "Can it be undone?", 'name="reason"'))


def test_looking_at_the_revoke_page_changes_nothing(bobs_browser, revoke_page, grant):
    bobs_browser.get(revoke_page, WHY)
    grant.refresh_from_db()
    assert grant.in_force


def test_revoking_with_a_reason_ends_the_grant(bobs_browser, revoke_page, grant):
    answer = bobs_browser.post(revoke_page, WHY, follow=True)
    grant.refresh_from_db()
    assert (grant.in_force, grant.revoked_by, grant.revoke_reason) == (False, "bob", "ticket 4711")
    assert "The grant of alice on payments has ended." in answer.content.decode()


def test_revoking_is_recorded_with_the_administrator(bobs_browser, revoke_page):
    bobs_browser.post(revoke_page, WHY)
    record = last("grant:revoked")
    assert (record.actor_name, record.namespace, record.details["reason"]) == ("bob", "payments", "ticket 4711")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_revoking_without_a_usable_reason_changes_nothing(bobs_browser, revoke_page, grant, reason):
    assert b"errorlist" in bobs_browser.post(revoke_page, {"reason": reason}).content
    grant.refresh_from_db()
    assert grant.in_force


def test_revoking_twice_is_refused_with_a_sentence(bobs_browser, revoke_page):
    bobs_browser.post(revoke_page, WHY)
    assert b"This grant has ended already." in bobs_browser.post(revoke_page, WHY).content


def test_revoking_without_a_form_token_is_refused(bob, revoke_page, grant):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(bob)
    assert thief.post(revoke_page, WHY).status_code == 403


@pytest.mark.parametrize("permissions", [["view_grant"], ["view_grant", "add_grant"], ["change_user"]])
def test_staff_who_may_not_change_grants_cannot_revoke(staff, revoke_page, grant, permissions):
    assert staff(*permissions).post(revoke_page, WHY).status_code == 403
    grant.refresh_from_db()
    assert grant.in_force


def test_staff_who_may_change_grants_can_revoke(staff, revoke_page, grant):
    staff("view_grant", "change_grant").post(revoke_page, WHY)
    grant.refresh_from_db()
    assert grant.revoked_by == "carol"


def test_revoking_that_cannot_be_recorded_is_undone(bobs_browser, revoke_page, grant, audit_unwritable):
    with pytest.raises(DatabaseError):
        bobs_browser.post(revoke_page, WHY)
    grant.refresh_from_db()
    assert grant.in_force


# Powers of staff over people ------------------------------------------------------------------------------------------


def user_form(user: User, **more: object) -> dict[str, object]:
    joined = user.date_joined
    date = {"date_joined_0": joined.date().isoformat(), "date_joined_1": joined.time().isoformat("seconds")}
    return {"username": user.username, "email": user.email, "is_active": "on", **date, **more}


@pytest.fixture
def carols_browser(staff) -> CodecClient:
    """carol may add and change users, and is no superuser."""
    return staff("view_user", "add_user", "change_user")


@pytest.mark.parametrize("username", ["alice", "carol"])
@pytest.mark.parametrize("power", ["is_superuser", "is_staff"])
def test_staff_make_nobody_staff_or_superuser(carols_browser, alice, username, power):
    User.objects.filter(username="carol").update(is_staff=True)
    before = User.objects.values_list(power, flat=True).get(username=username)
    user = User.objects.get(username=username)
    carols_browser.post(f"/admin/codec/user/{user.pk}/change/", user_form(user, **{power: "on"}))
    assert User.objects.values_list(power, flat=True).get(username=username) == before


def test_staff_give_nobody_permissions_or_groups(carols_browser, alice):
    more = {"user_permissions": [Permission.objects.get(codename="add_grant").pk]}
    more["groups"] = [Group.objects.create(name="team").pk]
    carols_browser.post(f"/admin/codec/user/{alice.pk}/change/", user_form(alice, email="new@example.com", **more))
    alice.refresh_from_db()
    assert alice.email == "new@example.com"
    assert not alice.user_permissions.exists()
    assert not alice.groups.exists()


def test_staff_make_no_superuser_of_a_new_person(carols_browser):
    password = {"password1": canary.PASSWORD, "password2": canary.PASSWORD, "usable_password": "true"}
    powers = {"is_superuser": "on", "is_staff": "on"}
    carols_browser.post("/admin/codec/user/add/", {"username": "dave", **password, **powers})
    dave = User.objects.get(username="dave")
    assert not dave.is_superuser
    assert not dave.is_staff


@pytest.mark.parametrize("page", ["change", "password"])
def test_staff_change_no_superuser(carols_browser, bob, page):
    password = {"password1": "another-password-1", "password2": "another-password-1", "usable_password": "true"}
    answer = carols_browser.post(f"/admin/codec/user/{bob.pk}/{page}/", user_form(bob, **password))
    bob.refresh_from_db()
    assert (answer.status_code, bob.check_password(canary.PASSWORD)) == (403, True)


def test_staff_see_a_superuser_without_a_form(carols_browser, bob):
    page = carols_browser.get(f"/admin/codec/user/{bob.pk}/change/")
    assert page.status_code == 200
    assert b'name="username"' not in page.content


def test_superuser_changes_a_superuser(bobs_browser, bob):
    eve = User.objects.create_superuser("eve", "eve@example.com", canary.PASSWORD)
    bobs_browser.post(f"/admin/codec/user/{eve.pk}/change/", user_form(eve, is_staff="on"))
    eve.refresh_from_db()
    assert not eve.is_superuser


def test_weak_password_is_refused(bobs_browser, alice):
    weak = {"password1": "password1234", "password2": "password1234", "usable_password": "true"}
    bobs_browser.post(f"/admin/codec/user/{alice.pk}/password/", weak)
    alice.refresh_from_db()
    assert alice.check_password(canary.PASSWORD)


def test_superuser_without_a_grant_decodes_nothing(bobs_browser, payments):
    assert bobs_browser.call("/decode").status_code == 403


# The logbook ----------------------------------------------------------------------------------------------------------


def test_logbook_is_filtered_and_searched(bobs_browser, mallorys_browser, browser):
    browser.call("/decode")
    mallorys_browser.call("/decode")
    denied = bobs_browser.get("/admin/keys/auditrecord/?outcome__exact=denied&q=payload").content.decode()
    assert "mallory" in denied
    assert "alice" not in denied


def test_link_of_the_start_page_shows_the_denied_requests(bobs_browser, mallorys_browser, granted):
    mallorys_browser.call("/decode")
    (item,) = bobs_browser.get("/admin/").context["attention"]
    assert b"no_grant" in bobs_browser.get(item.url).content


def test_grant_of_another_person_stays_as_it_was(bobs_browser, alice, mallory, payments):
    give_grant(mallory, payments, decode=True, encode=False, actor=OPERATOR, reason="test")
    give(bobs_browser, alice, payments)
    assert grants_in_force(mallory).exists()
