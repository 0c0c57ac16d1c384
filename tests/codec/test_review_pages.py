"""The auditor's pages in the admin: who may open them, what they show, and what is recorded of that."""

import csv
import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from codec.models import User
from codec.services import create_service
from keys import audit_reading
from keys.models import AuditRecord
from keys.review import pages, viewings
from keys.review.models import Viewing
from tests import canary
from tests.codec_lines import LONG_AGO, minutes, request, write
from tests.commands import manage
from tests.conftest import CodecClient, signed_in

LIST = "/admin/keys/viewing/"
REPORT = "/admin/keys/viewing/report/"
FILE = "/admin/keys/viewing/report.csv"
MEAN = "<script>alert(1)</script>"


def member_of(role: str, name: str = "carol") -> User:
    manage("setup_roles")
    person = User.objects.create_user(name, f"{name}@example.com", canary.PASSWORD, is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return person


@pytest.fixture
def carol(db) -> User:
    return member_of("auditor")


@pytest.fixture
def auditor(carol) -> CodecClient:
    return signed_in(carol)


def seen(*lines) -> Viewing:
    write(lines)
    viewings.refresh()
    return Viewing.objects.latest("pk")


def page_of(viewing: Viewing) -> str:
    return f"{LIST}{viewing.pk}/change/"


def verdict(*chosen: Viewing, say: str = "viewing:reviewed", note: str = "") -> dict:
    return {"verdict": say, "note": note, "viewing": [viewing.pk for viewing in chosen]}


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def shown(answer) -> list[str]:
    """Return whose viewings the list shows, in its order."""
    return [line.viewing.actor_name for line in answer.context["lines"]]


# Who may --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def every_page(db) -> list[str]:
    return [LIST, page_of(seen(*minutes(0))), REPORT, FILE]


def test_auditor_opens_every_page(auditor, every_page):
    assert {auditor.get(page).status_code for page in every_page} == {200}


@pytest.mark.parametrize("role", ["key custodian", "grant approver"])
def test_other_roles_open_none(every_page, role):
    browser = signed_in(member_of(role))
    assert {browser.get(page).status_code for page in every_page} == {403}


def test_person_who_is_not_staff_opens_none(every_page, browser):
    assert {browser.get(page, follow=True).status_code for page in every_page} == {403}


def test_visitor_is_sent_to_sign_in(every_page):
    assert {CodecClient().get(page).status_code for page in every_page} == {302}


def test_superuser_may_review_others(bobs_browser):
    viewing = seen(*minutes(0))
    assert bobs_browser.post(LIST, verdict(viewing)).status_code == 302
    viewing.refresh_from_db()
    assert viewing.status == "reviewed"


def test_superuser_may_not_review_their_own(bobs_browser, bob):
    line = request("bob")
    line.actor_id = str(bob.pk)
    viewing = seen(line)
    assert "Nobody reviews their own viewings." in text(bobs_browser.post(LIST, verdict(viewing)))
    viewing.refresh_from_db()
    assert viewing.status == "open"


def test_who_may_look_only_cannot_review(auditor, carol):
    Group.objects.get(name="auditor").permissions.filter(codename="review_viewing").delete()
    viewing = seen(*minutes(0))
    assert 'name="verdict"' not in text(auditor.get(LIST))
    assert auditor.post(LIST, verdict(viewing)).status_code == 403
    assert auditor.post(page_of(viewing), verdict()).status_code == 403


def test_auditor_changes_nothing_else(auditor, payments):
    forbidden = [f"/admin/keys/namespace/{payments.pk}/rotate/", "/admin/codec/grant/add/", "/admin/codec/user/add/"]
    assert {auditor.get(page).status_code for page in forbidden} == {403}


@pytest.mark.parametrize("page", ["add/", "1/delete/", "1/history/"])
def test_viewings_have_no_page_to_change_them(bobs_browser, page):
    assert bobs_browser.get(f"{LIST}{page}").status_code == 404


def test_review_without_a_form_token_is_refused(carol):
    thief = CodecClient(enforce_csrf_checks=True)
    thief.force_login(carol)
    assert thief.post(LIST, verdict(seen(*minutes(0)))).status_code == 403


def test_viewings_of_ones_own_services_are_ones_own(auditor, carol):
    owners = Group.objects.create(name="owners")
    carol.groups.add(owners)
    line = request("importer")
    line.actor_id = str(create_service("importer", owners).pk)
    viewing = seen(line)
    assert "Nobody reviews their own viewings." in text(auditor.post(LIST, verdict(viewing)))


def test_viewings_of_other_services_are_not(auditor):
    line = request("importer")
    line.actor_id = str(create_service("importer", Group.objects.create(name="owners")).pk)
    assert auditor.post(LIST, verdict(seen(line))).status_code == 302


# The list -------------------------------------------------------------------------------------------------------------


def test_list_says_what_happened_in_a_sentence(auditor):
    write([*minutes(0, 1, 12, payloads=40), *minutes(2, payloads=23, key="2-def", address="10.9.9.9")])
    content = text(auditor.get(LIST))
    assert "<strong>alice</strong></a> read 143 payloads of <strong>payments</strong> in 12 minutes" in content
    assert "2 key versions, from 10.2.3.4 and 10.9.9.9. Session 1f3a5c7d9b2e." in content


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ((0, 12), "<span>09:00\N{EN DASH}09:12</span>"),
        ((0,), "<span>09:00</span>"),
        ((890, 910), f"<span>23:50 \N{EN DASH} {LONG_AGO + timedelta(days=1):%-d %b}, 00:10</span>"),
    ],
)
def test_list_says_from_when_to_when(auditor, after, told):
    write(minutes(*after))
    assert told in text(auditor.get(LIST))


def test_oldest_stands_first(auditor):
    write([*minutes(90, who="bob"), *minutes(0, who="alice"), *minutes(200, who="dave")])
    assert shown(auditor.get(LIST)) == ["alice", "bob", "dave"]


def test_list_is_up_to_the_last_record(auditor):
    write([request(at=timezone.now())])
    content = text(auditor.get(LIST))
    assert "Still going on" in content
    assert 'name="viewing"' not in content


def test_empty_list_says_so(auditor):
    content = text(auditor.get(LIST))
    assert "Nothing waits for review." in content
    assert "Nothing was read or written on these days." in content


def test_what_was_reviewed_is_on_the_other_tabs(auditor):
    first, second = seen(*minutes(0)), seen(*minutes(90, who="dave"))
    auditor.post(LIST, verdict(first))
    auditor.post(LIST, verdict(second, say="viewing:flagged", note="ask dave"))
    assert shown(auditor.get(LIST)) == []
    assert shown(auditor.get(f"{LIST}?status=reviewed")) == ["alice"]
    assert shown(auditor.get(f"{LIST}?status=follow_up")) == ["dave"]
    assert shown(auditor.get(f"{LIST}?status=all")) == ["alice", "dave"]
    assert [tab["number"] for tab in auditor.get(LIST).context["tabs"]] == [0, 1, 1, 2]


@pytest.fixture
def several(db) -> None:
    write(minutes(0, who="alice", namespace="payments"))
    write(minutes(100, who="dave", namespace="payroll", outcome="denied", reason="no_grant"))
    write(minutes(24 * 60, who="alice", namespace="payroll"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["alice", "dave", "alice"]),
        ({"namespace": "payroll"}, ["dave", "alice"]),
        ({"namespace": "pay"}, []),
        ({"person": "alice"}, ["alice", "alice"]),
        ({"person": "alice", "namespace": "payments"}, ["alice"]),
        ({"mark": "denied"}, ["dave"]),
        ({"mark": "break_glass"}, []),
        ({"since": LONG_AGO.date() + timedelta(days=1)}, ["alice"]),
        ({"until": LONG_AGO.date()}, ["alice", "dave"]),
        ({"since": LONG_AGO.date(), "until": LONG_AGO.date(), "person": "dave"}, ["dave"]),
        ({"status": "reviewed"}, []),
        ({"status": "nonsense", "mark": "nonsense", "since": "yesterday"}, ["alice", "dave", "alice"]),
        ({"page": "nonsense"}, ["alice", "dave", "alice"]),
    ],
)
def test_filters(auditor, several, query, expected):
    assert shown(auditor.get(LIST, query)) == expected


def test_wrong_filter_is_named(auditor):
    assert "Enter a valid date." in text(auditor.get(LIST, {"since": "yesterday"}))
    assert "The period ends before it begins." in text(
        auditor.get(LIST, {"since": "2026-02-02", "until": "2026-01-01"})
    )


def test_long_list_has_pages(auditor, monkeypatch):
    monkeypatch.setattr(pages, "LEAF", 2)
    write(minutes(0, 60, 120))
    assert len(shown(auditor.get(LIST))) == 2
    assert len(shown(auditor.get(f"{LIST}?person=alice&page=2"))) == 1
    assert 'href="?person=alice&amp;page=2"' in text(auditor.get(f"{LIST}?person=alice"))


def test_filters_survive_a_review(auditor, several):
    viewings.refresh()
    answer = auditor.post(f"{LIST}?person=alice&page=1", verdict(*Viewing.objects.filter(actor_name="alice")))
    assert answer.headers["Location"] == f"{LIST}?person=alice&page=1"


def test_several_are_reviewed_at_once(auditor, several):
    viewings.refresh()
    answer = auditor.post(LIST, verdict(*Viewing.objects.all(), note="weekly"), follow=True)
    assert "3 viewings reviewed." in text(answer)
    assert AuditRecord.objects.filter(action="viewing:reviewed", actor_name="carol").count() == 3


def test_refused_review_keeps_what_was_entered(auditor):
    viewing = seen(*minutes(0))
    content = text(auditor.post(LIST, verdict(viewing, note="x" * 501)))
    assert 'role="alert"' in content
    assert f'value="{viewing.pk}" aria-labelledby="viewing-{viewing.pk}" checked' in content
    assert 'value="xxx' in content


@pytest.mark.parametrize("chosen", [["nonsense"], ["9" * 40], ["²"], []])
def test_nonsense_is_refused_with_a_sentence(auditor, chosen):
    answer = auditor.post(LIST, {"verdict": "viewing:reviewed", "viewing": chosen})
    assert "Choose at least one viewing." in text(answer)


def test_unknown_verdict_is_refused(auditor):
    viewing = seen(*minutes(0))
    assert 'role="alert"' in text(auditor.post(LIST, verdict(viewing, say="viewing:praised")))
    assert not AuditRecord.objects.filter(action__startswith="viewing:").exists()


def test_chart_has_a_bar_for_a_day_and_its_denied_requests(auditor, several):
    content = text(auditor.get(LIST))
    assert 'aria-label="1 payloads, most on' in content
    assert content.count('class="bar"') == 4  # two namespaces and one person, who has two days
    assert '<rect class="denied"' in content


def test_page_needs_no_inline_style_or_script(auditor, several):
    for page in (LIST, REPORT):
        content = text(auditor.get(page))
        assert " style=" not in content
        assert "<script>" not in content


def test_page_that_cannot_catch_up_says_so(auditor, monkeypatch):
    monkeypatch.setattr(viewings, "refresh", lambda **given: False)
    assert "What is newest may be missing" in text(auditor.get(LIST))
    assert "This report is not complete" in text(auditor.get(REPORT))


# One viewing ----------------------------------------------------------------------------------------------------------


def test_viewing_shows_its_records_and_no_others(auditor):
    mine = minutes(0, 1, outcome="denied", reason="no_grant")
    viewing = seen(*mine, *minutes(0, 1, namespace="payroll"), *minutes(0, who="dave"), *minutes(90))
    first = Viewing.objects.get(first_event_id=mine[0].event_id)
    assert [record.event_id for record in auditor.get(page_of(first)).context["leaf"]] == [
        line.event_id for line in mine
    ]
    assert viewing.pk != first.pk


def test_viewing_of_somebody_at_the_command_line_shows_its_records(auditor):
    line = request()
    line.actor_kind, line.actor_id, line.actor_name = "command", "", "root"
    assert len(auditor.get(page_of(seen(line))).context["leaf"]) == 1


def test_viewing_is_reviewed_on_its_page(auditor):
    viewing = seen(*minutes(0))
    answer = auditor.post(page_of(viewing), verdict(say="viewing:flagged", note="ask alice"), follow=True)
    content = text(answer)
    assert "1 viewing marked for follow-up." in content
    assert "<strong>carol</strong>" in content
    assert "ask alice" in content


def test_page_of_one_viewing_reviews_no_other(auditor):
    viewing, other = seen(*minutes(0)), seen(*minutes(90))
    auditor.post(page_of(viewing), verdict(other))
    other.refresh_from_db()
    assert other.status == "open"


def test_own_viewing_cannot_be_reviewed_on_its_page(auditor, carol):
    line = request("carol")
    line.actor_id = str(carol.pk)
    viewing = seen(line)
    assert 'name="verdict"' not in text(auditor.get(page_of(viewing)))
    assert "Nobody reviews their own viewings." in text(auditor.post(page_of(viewing), verdict()))


def test_viewing_that_is_not_there_is_not_found(auditor):
    assert auditor.get(f"{LIST}999999/change/").status_code == 404


@pytest.mark.parametrize("name", ["items", "keys", "0"])
def test_key_version_may_have_any_name(auditor, name):
    viewing = seen(*minutes(0, payloads=7, key=name))
    assert f'<span class="mono">{name}</span>: 7 payloads' in text(auditor.get(page_of(viewing)))


def test_hostile_text_is_shown_as_text(auditor):
    line = request(MEAN, MEAN, key=MEAN, credential=MEAN, address=MEAN)
    viewing = seen(line, *minutes(1, outcome="denied", reason=MEAN))
    auditor.post(page_of(viewing), verdict(say="viewing:flagged", note=MEAN))
    for page in (LIST, f"{LIST}?status=all&person={MEAN}", page_of(viewing), REPORT):
        content = auditor.get(page).content.decode()
        assert "&lt;script&gt;alert(1)" in content
        assert MEAN not in content


# The report -----------------------------------------------------------------------------------------------------------


def rows(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def test_report_counts_the_period(auditor):
    first, second = seen(*minutes(0, payloads=40)), seen(*minutes(90, who="dave", payloads=3))
    seen(*minutes(24 * 60, who="erin"))
    auditor.post(LIST, verdict(first))
    auditor.post(LIST, verdict(second, say="viewing:flagged", note="ask dave"))
    day = LONG_AGO.date()
    report = auditor.get(REPORT, {"since": day, "until": day}).context["report"]
    total = report.total
    assert (total.viewings, total.payloads, total.reviewed, total.follow_up, total.waiting) == (2, 43, 1, 1, 0)
    assert list(report.people) == ["alice", "dave"]
    assert report.reviewers["carol"].viewings == 2
    assert [line.viewing.review.note for line in report.follow_ups] == ["ask dave"]


def test_report_says_how_late(auditor):
    old = seen(request(at=timezone.now() - timedelta(days=9)))
    seen(request(at=timezone.now() - timedelta(days=8), who="dave"))
    auditor.post(LIST, verdict(old))
    total = auditor.get(REPORT).context["report"].total
    assert (total.late, total.usual_delay, total.longest_delay) == (2, "9 days", "9 days")
    assert timezone.now() - total.waiting_since > timedelta(days=7)


def test_report_on_nothing_says_so(auditor):
    assert "There was no viewing on these days." in text(auditor.get(REPORT))


def test_report_names_the_record_of_its_making(auditor):
    seen(*minutes(0))
    reading = AuditRecord.objects.filter(action="audit:read")
    content = text(auditor.get(REPORT))
    assert str(reading.get(details__page="review report").event_id) in content


def test_report_with_a_wrong_period_says_so(auditor):
    content = text(auditor.get(REPORT, {"since": "2026-02-02", "until": "2026-01-01"}))
    assert "The period ends before it begins." in content


def test_file_has_a_line_for_every_viewing(auditor):
    first = seen(*minutes(0, payloads=40))
    seen(*minutes(90, who="dave", outcome="denied", reason="no_grant"))
    auditor.post(LIST, verdict(first, note="as agreed"))
    answer = auditor.get(FILE, {"since": LONG_AGO.date()})
    reviewed, waiting = rows(answer)
    assert (reviewed["person"], reviewed["payloads read"], reviewed["note"]) == ("alice", "40", "as agreed")
    assert reviewed["last reviewed by"] == "carol"
    assert reviewed["record of the review"] == str(AuditRecord.objects.get(action="viewing:reviewed").event_id)
    assert (waiting["person"], waiting["denied"], waiting["status"]) == ("dave", "1", "Not reviewed")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="viewings-')


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_file_is_a_formula(auditor, begin):
    mean = f"{begin}HYPERLINK(1)"
    viewing = seen(request(mean, mean))
    auditor.post(LIST, verdict(viewing, note=mean))
    (row,) = rows(auditor.get(FILE))
    assert not [cell for cell in row.values() if cell.startswith(begin)]
    assert row["person"] == f"'{mean}"


# Reading is recorded --------------------------------------------------------------------------------------------------


def readings() -> list[str]:
    return [record.details["page"] for record in AuditRecord.objects.filter(action="audit:read").order_by("sequence")]


def test_every_kind_of_page_is_recorded_once(auditor, every_page):
    for _ in range(2):
        for page in (*every_page, "/admin/keys/auditrecord/"):
            auditor.get(page)
    assert readings() == ["viewings", "review report", "review report, CSV", "audit records"]


def test_one_record_of_the_audit_counts_as_reading(auditor, every_page):
    auditor.get(f"/admin/keys/auditrecord/{AuditRecord.objects.latest('pk').pk}/change/")
    assert readings() == ["audit records"]


def test_every_person_is_recorded(auditor, bobs_browser):
    auditor.get(LIST)
    bobs_browser.get(LIST)
    names = AuditRecord.objects.filter(action="audit:read").values_list("actor_name", flat=True)
    assert sorted(names) == ["bob", "carol"]


def test_after_ten_minutes_it_is_recorded_again(auditor, monkeypatch):
    auditor.get(LIST)
    monkeypatch.setattr(audit_reading, "ONCE_IN", timedelta(0))
    auditor.get(LIST)
    assert readings() == ["viewings", "viewings"]


def test_who_may_not_read_is_not_recorded_as_reading(staff_without_rights):
    staff_without_rights.get(LIST)
    staff_without_rights.get("/admin/keys/auditrecord/")
    assert readings() == []


@pytest.fixture
def staff_without_rights(db) -> CodecClient:
    return signed_in(User.objects.create_user("dave", "dave@example.com", canary.PASSWORD, is_staff=True))
