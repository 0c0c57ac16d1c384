"""Asking for access and answering: on the pages, with the deny twins of each flow, and what is recorded."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from codec import access_requests
from codec.access_requests import MOST_A_DAY, NotYours, RequestRefused
from codec.grants import grants_in_force
from codec.models import AccessRequest, Grant, NamespacePolicy, User
from keys.actor import Actor, ActorKind
from keys.models import AuditRecord, Namespace
from keys.rotation import create_namespace
from tests.commands import manage
from tests.conftest import OPERATOR, CodecClient, signed_in

PAGE = "/access/request/"
WHY = "on call for payments"


@pytest.fixture
def policy(alice, payments) -> NamespacePolicy:
    """alice is the approver of payments, which permits 8 hours."""
    approvers = Group.objects.create(name="payments-approvers")
    alice.groups.add(approvers)
    return NamespacePolicy.objects.create(namespace=payments, approvers=approvers, max_request_hours=8)


@pytest.fixture
def asked(mallory, policy) -> AccessRequest:
    """mallory asks for payments, for 24 hours."""
    return access_requests.ask(mallory, "payments", hours=24, reason=WHY, actor=actor_of(mallory))


@pytest.fixture
def alices_browser(alice, policy) -> CodecClient:
    return signed_in(alice)


def actor_of(user: User) -> Actor:
    return Actor(kind=ActorKind.USER, id=str(user.pk), name=user.username)


def form(**changed: object) -> dict[str, object]:
    return {"namespace": "payments", "reason": WHY, "hours": 8, "ticket": "OPS-12"} | changed


def answer_page(asked: AccessRequest) -> str:
    return f"/access/requests/{asked.pk}/"


def answer(browser: CodecClient, asked: AccessRequest, what: str, *, hours: int = 1, note: str = ""):
    return browser.post(answer_page(asked), {"answer": what, "hours": hours, "note": note})


def last(action: str) -> AuditRecord:
    return AuditRecord.objects.filter(action=action).latest("id")


def make_overdue() -> None:
    AccessRequest.objects.update(lapses_at=timezone.now() - timedelta(seconds=1))


# Asking ---------------------------------------------------------------------------------------------------------------


def test_page_needs_a_session(db, client):
    assert client.get(PAGE)["Location"] == "/login/?next=/access/request/"


def test_page_has_the_namespace_of_the_last_refusal_filled_in(mallorys_browser, policy):
    assert 'value="payments"' not in mallorys_browser.get(PAGE).content.decode()
    mallorys_browser.call("/decode")
    assert 'value="payments"' in mallorys_browser.get(PAGE).content.decode()


def test_page_has_the_namespace_of_its_address_filled_in(mallorys_browser):
    assert 'value="refunds"' in mallorys_browser.get(PAGE, {"namespace": "refunds"}).content.decode()


def test_request_waits_and_is_recorded(mallorys_browser, policy):
    assert mallorys_browser.post(PAGE, form())["Location"] == "/"
    asked = AccessRequest.objects.get()
    assert (asked.user.username, asked.namespace_name, asked.hours, asked.state) == (
        "mallory",
        "payments",
        8,
        "waiting",
    )
    record = last("access-request:made")
    assert (record.namespace, record.actor_name, record.details["reason"]) == ("payments", "mallory", WHY)


def test_request_permits_nothing(mallorys_browser, policy):
    mallorys_browser.post(PAGE, form())
    assert mallorys_browser.call("/decode").status_code == 403
    assert not Grant.objects.exists()


def test_request_for_any_name_is_answered_alike(mallorys_browser, policy):
    Namespace.objects.filter(pk=create_namespace("retired", actor=OPERATOR).pk).update(retired_at=timezone.now())

    def seen(name: str) -> tuple[str, str]:
        answer = mallorys_browser.post(PAGE, form(namespace=name, reason="on call", hours=720))
        shown = mallorys_browser.get("/").content.decode()
        AccessRequest.objects.all().delete()
        return answer["Location"], without_tokens(shown.replace(name, "NAME"))

    assert seen("payments") == seen("nowhere") == seen("retired")


def without_tokens(page: str) -> str:
    """Leave out what differs between any two looks at a page: form tokens, numbers of requests, times."""
    lines = [line for line in page.splitlines() if "csrfmiddlewaretoken" not in line]
    return re.sub("[0-9]", "0", "\n".join(lines))


@pytest.mark.parametrize(
    "wrong", [{"reason": " "}, {"reason": "x" * 201}, {"namespace": "a b"}, {"namespace": ""}, {"hours": 9999}]
)
def test_request_that_makes_no_sense_is_refused(mallorys_browser, policy, wrong):
    assert b"errorlist" in mallorys_browser.post(PAGE, form(**wrong)).content
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize(
    ("name", "wish"),
    [("a b", {}), ("payments", {"reason": " "}), ("payments", {"reason": "x" * 201}), ("payments", {"hours": 721})],
)
def test_writer_refuses_it_too(mallory, name, wish):
    with pytest.raises(RequestRefused):
        access_requests.ask(mallory, name, **({"hours": 8, "reason": WHY} | wish), actor=OPERATOR)


def test_request_without_a_form_token_is_refused(mallory, policy):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(mallory)
    assert thief.post(PAGE, form()).status_code == 403
    assert not AccessRequest.objects.exists()


def test_asking_again_replaces_the_open_request(mallorys_browser, policy):
    mallorys_browser.post(PAGE, form())
    mallorys_browser.post(PAGE, form(hours=1))
    assert [asked.state for asked in AccessRequest.objects.all()] == ["waiting", "withdrawn"]


def test_requests_are_bounded(mallory, policy):
    for number in range(MOST_A_DAY):
        access_requests.ask(mallory, f"name-{number}", hours=1, reason=WHY, actor=actor_of(mallory))
    with pytest.raises(RequestRefused, match="since yesterday"):
        access_requests.ask(mallory, "payments", hours=1, reason=WHY, actor=actor_of(mallory))


def test_own_request_is_withdrawn(mallorys_browser, asked):
    mallorys_browser.post(f"/access/requests/{asked.pk}/withdraw/")
    asked.refresh_from_db()
    assert (asked.state, last("access-request:withdrawn").actor_name) == ("withdrawn", "mallory")


def test_request_of_another_is_not_withdrawn(alices_browser, asked):
    assert alices_browser.post(f"/access/requests/{asked.pk}/withdraw/").status_code == 404
    asked.refresh_from_db()
    assert asked.is_waiting


def test_withdrawn_request_is_not_approved(alices_browser, mallorys_browser, asked):
    mallorys_browser.post(f"/access/requests/{asked.pk}/withdraw/")
    assert b"withdrawn already" in answer(alices_browser, asked, "approve").content
    assert not Grant.objects.exists()


# Answering ------------------------------------------------------------------------------------------------------------


def test_approver_finds_it_on_top_of_the_start_page(alices_browser, asked):
    page = alices_browser.get("/").content.decode()
    assert page.index(answer_page(asked)) < page.index("Namespaces you may use")


@pytest.mark.parametrize("who", ["mallory", "bob"])
def test_nobody_else_finds_it_there(who, asked, request):
    browser = signed_in(request.getfixturevalue(who))
    assert f'href="{answer_page(asked)}"' not in browser.get("/").content.decode()


def test_approved_request_becomes_a_grant_that_ends(alices_browser, mallory, asked):
    assert answer(alices_browser, asked, "approve", hours=1)["Location"] == "/"
    grant = grants_in_force(mallory).get()
    assert (grant.verbs, grant.source, grant.granted_by, grant.reason) == ("decode", "request", "alice", WHY)
    assert grant.ends_at - grant.starts_at == timedelta(hours=1)
    asked.refresh_from_db()
    assert (asked.state, asked.grant, asked.decided_by) == ("approved", grant, "alice")


def test_approval_is_recorded_with_the_grant(alices_browser, asked):
    answer(alices_browser, asked, "approve", note="take care")
    given, approved = last("grant:given"), last("access-request:approved")
    assert (given.actor_name, given.details["source"], given.details["user"]) == ("alice", "request", "mallory")
    assert (approved.actor_name, approved.namespace, approved.details["note"]) == ("alice", "payments", "take care")


def test_approved_person_reads_and_later_does_not(alices_browser, mallorys_browser, asked):
    answer(alices_browser, asked, "approve")
    assert mallorys_browser.call("/decode").status_code == 200
    Grant.objects.update(starts_at=timezone.now() - timedelta(hours=2), ends_at=timezone.now() - timedelta(hours=1))
    assert mallorys_browser.call("/decode").status_code == 403


def test_encode_is_given_only_if_asked_for(alices_browser, mallory, policy):
    asked = access_requests.ask(mallory, "payments", hours=1, reason=WHY, encode=True, actor=actor_of(mallory))
    answer(alices_browser, asked, "approve")
    assert grants_in_force(mallory).get().verbs == "decode and encode"


@pytest.mark.parametrize(("hours", "given"), [(0, False), (1, True), (8, True), (9, False), (24, False)])
def test_namespaces_longest_time_bounds_the_answer(alices_browser, asked, hours, given):
    answer(alices_browser, asked, "approve", hours=hours)
    assert Grant.objects.exists() is given


def test_what_was_asked_for_bounds_the_answer(alice, mallory, policy):
    asked = access_requests.ask(mallory, "payments", hours=2, reason=WHY, actor=actor_of(mallory))
    with pytest.raises(RequestRefused, match="from 1 to 2"):
        access_requests.approve(asked, approver=alice, hours=3, note="", actor=actor_of(alice))


def test_denied_request_says_why_and_permits_nothing(alices_browser, mallorys_browser, asked):
    answer(alices_browser, asked, "deny", note="ask the customer")
    asked.refresh_from_db()
    assert (asked.state, last("access-request:denied").details["note"]) == ("denied", "ask the customer")
    assert "ask the customer" in mallorys_browser.get("/").content.decode()
    assert not Grant.objects.exists()


def test_denial_needs_a_note(alices_browser, asked):
    assert b"Say why" in answer(alices_browser, asked, "deny").content
    asked.refresh_from_db()
    assert asked.is_waiting


@pytest.mark.parametrize("what", ["approve", "deny"])
def test_request_is_answered_once(alices_browser, asked, what):
    answer(alices_browser, asked, "deny", note="no")
    assert b"denied already" in answer(alices_browser, asked, what, note="again").content
    assert not Grant.objects.exists()


def test_answer_without_a_form_token_is_refused(alice, asked):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(alice)
    assert answer(thief, asked, "approve").status_code == 403
    assert not Grant.objects.exists()


def test_answer_of_neither_kind_changes_nothing(alices_browser, asked):
    answer(alices_browser, asked, "perhaps")
    asked.refresh_from_db()
    assert asked.is_waiting


def test_approval_that_cannot_be_recorded_does_not_happen(alice, asked, audit_unwritable):
    with pytest.raises(Exception, match="unwritable"):
        access_requests.approve(asked, approver=alice, hours=1, note="", actor=actor_of(alice))
    asked.refresh_from_db()
    assert asked.is_waiting
    assert not Grant.objects.exists()


def test_request_of_a_disabled_person_is_not_approved(alice, asked):
    User.objects.filter(username="mallory").update(is_active=False)
    with pytest.raises(RequestRefused, match="disabled"):
        access_requests.approve(asked, approver=alice, hours=1, note="", actor=actor_of(alice))


def test_request_on_a_retired_namespace_is_not_approved(alice, asked):
    Namespace.objects.update(retired_at=timezone.now())
    with pytest.raises(NotYours):
        access_requests.approve(asked, approver=alice, hours=1, note="", actor=actor_of(alice))


@pytest.mark.parametrize(("who", "seen"), [("alice", True), ("bob", False)])
def test_administration_leads_to_the_answer_whoever_may_give_it(who, seen, asked, request):
    User.objects.filter(username="alice").update(is_staff=True, is_superuser=True)
    page = signed_in(request.getfixturevalue(who)).get(f"/admin/codec/accessrequest/{asked.pk}/change/")
    assert (f'href="{answer_page(asked)}"' in page.content.decode()) is seen


# Who may not answer ---------------------------------------------------------------------------------------------------


@pytest.fixture
def refunds_approver(db) -> User:
    """Approves another namespace."""
    carol, group = User.objects.create_user("carol"), Group.objects.create(name="refunds-approvers")
    carol.groups.add(group)
    NamespacePolicy.objects.create(namespace=create_namespace("refunds", actor=OPERATOR), approvers=group)
    return carol


@pytest.mark.parametrize("who", ["bob", "refunds_approver"])
def test_who_is_no_approver_of_the_namespace_neither_sees_nor_answers(who, asked, request):
    browser = signed_in(request.getfixturevalue(who))
    assert browser.get(answer_page(asked)).status_code == answer(browser, asked, "approve").status_code == 404
    assert not Grant.objects.exists()
    record = last("access-request:approved")
    assert (record.outcome, record.reason) == ("denied", "not_an_approver")


@pytest.mark.parametrize("what", ["approve", "deny"])
def test_nobody_answers_their_own(alice, alices_browser, policy, what):
    own = access_requests.ask(alice, "payments", hours=1, reason=WHY, actor=actor_of(alice))
    assert f'href="{answer_page(own)}"' not in alices_browser.get("/").content.decode()
    assert answer(alices_browser, own, what, note="fine").status_code == 404
    own.refresh_from_db()
    assert own.is_waiting
    records = AuditRecord.objects.filter(outcome="denied", reason="to_oneself")
    assert [record.details["request"] for record in records] == [own.pk]


def test_writer_refuses_own_and_foreign_answers_too(alice, bob, asked):
    own = access_requests.ask(alice, "payments", hours=1, reason=WHY, actor=actor_of(alice))
    for request, approver in ((own, alice), (asked, bob)):
        with pytest.raises(NotYours):
            access_requests.approve(request, approver=approver, hours=1, note="", actor=actor_of(approver))
        with pytest.raises(NotYours):
            access_requests.deny(request, approver=approver, note="no", actor=actor_of(approver))


def test_page_of_a_request_that_does_not_exist_is_the_same(alices_browser, db):
    assert alices_browser.get("/access/requests/999999/").status_code == 404


# Lapsing --------------------------------------------------------------------------------------------------------------


def test_unanswered_request_lapses_before_anybody_writes_it(alices_browser, mallorys_browser, asked):
    make_overdue()
    asked.refresh_from_db()
    assert (asked.state, asked.outcome) == ("lapsed", "")
    assert answer_page(asked) not in alices_browser.get("/").content.decode()
    assert b"lapsed already" in answer(alices_browser, asked, "approve").content
    assert "lapsed" in mallorys_browser.get("/").content.decode()


@pytest.mark.parametrize("state", ["waiting", "lapsed"])
def test_list_in_the_administration_knows_what_has_lapsed(bob, mallory, asked, state):
    make_overdue()
    access_requests.ask(mallory, "refunds", hours=1, reason="a refund", actor=actor_of(mallory))
    page = signed_in(bob).get(f"/admin/codec/accessrequest/?state={state}").content.decode()
    assert (WHY in page, "a refund" in page) == (state == "lapsed", state == "waiting")


def test_command_closes_what_has_lapsed_and_nothing_else(mallory, asked):
    make_overdue()
    access_requests.ask(mallory, "refunds", hours=1, reason=WHY, actor=actor_of(mallory))
    assert manage("lapse_requests") == "1 request lapsed.\n"
    assert {each.namespace_name: each.outcome for each in AccessRequest.objects.all()} == {
        "payments": "lapsed",
        "refunds": "",
    }
    assert last("access-request:lapsed").actor_kind == "command"
    assert manage("lapse_requests") == "0 requests lapsed.\n"


def test_lapsed_request_can_be_made_again(mallorys_browser, asked):
    make_overdue()
    mallorys_browser.post(PAGE, form())
    assert [each.state for each in AccessRequest.objects.all()] == ["waiting", "lapsed"]
