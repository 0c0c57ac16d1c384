"""When auditors are told of somebody, who is told, and how often."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.utils import timezone

from codec import alerts, notices
from codec.attention import attention
from codec.models import User
from keys.models import AuditRecord
from keys.review import viewings
from keys.review.models import HourOfPerson
from tests.codec_lines import IDS, request, write
from tests.commands import manage
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch, settings):
    """Notices are sent in this thread. Ten payloads and three denied requests an hour are too many."""
    monkeypatch.setattr(notices.connections, "close_all", lambda: None)
    monkeypatch.setattr(notices, "_start", notices._run)
    settings.CODEC_ALERT_PAYLOADS, settings.CODEC_ALERT_DENIED = 10, 3


@pytest.fixture(autouse=True)
def auditor() -> User:
    manage("setup_roles")
    person = User.objects.create_user("audrey", "audrey@example.com", is_staff=True)
    person.groups.add(Group.objects.get(name="auditor"))
    User.objects.create_user("bystander", "bystander@example.com", is_staff=True)
    return person


@pytest.fixture
def watch(django_capture_on_commit_callbacks):
    """Return a function that does what a serving process does every minute, and commits it."""

    def watch() -> list[str]:
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            alerts.watch()
        return [letter.subject for letter in mail.outbox]

    return watch


def now(who: str = "alice", **given):
    return request(who, at=timezone.now(), **given)


def denied(number: int):
    return [now(outcome="denied", reason="no_grant") for _ in range(number)]


def test_many_payloads_are_told(watch):
    write([now(payloads=6), now(payloads=4)])
    assert watch() == ["alice has had 10 payloads within an hour"]


def test_one_payload_less_is_not_told(watch):
    write([now(payloads=6), now(payloads=3)])
    assert watch() == []


def test_payloads_are_counted_by_person(watch):
    write([now(payloads=6), now("bob", payloads=6)])
    assert watch() == []


def test_payloads_are_counted_over_namespaces_credentials_and_chains(watch):
    write([now(payloads=6)])
    write([now(payloads=6, namespace="refunds", credential="token 0123456789ab")], chain="codec-2")
    assert watch() == ["alice has had 12 payloads within an hour"]


def test_payloads_are_counted_by_the_hour(watch):
    write([request(at=timezone.now() - timedelta(hours=1), payloads=6), now(payloads=6)])
    assert watch() == []


def test_hour_that_has_just_ended_still_counts(watch):
    write([request(at=timezone.now() - timedelta(hours=1), payloads=10)])
    assert len(watch()) == 1


def test_what_is_long_ago_is_not_told(watch):
    write([request(at=timezone.now() - timedelta(hours=3), payloads=100)])
    assert watch() == []


def test_payloads_that_were_not_given_do_not_count(watch):
    write([now(outcome="failed", reason="damaged", details={"payloads": 100})])
    assert watch() == []


def test_denied_requests_are_told(watch):
    write(denied(3))
    assert watch() == ["alice was denied 3 times within an hour"]


def test_fewer_denied_requests_are_not_told(watch):
    write(denied(2))
    assert watch() == []


def test_use_of_break_glass_is_told(watch):
    write([now(reason="break_glass")])
    assert watch() == ["alice reads by break-glass"]


def test_it_is_told_once_an_hour(watch):
    write([now(payloads=10)])
    watch()
    write([now(payloads=10)])
    assert watch() == []


def test_another_kind_is_told_nevertheless(watch):
    write([now(payloads=10)])
    watch()
    write(denied(3))
    assert watch() == ["alice was denied 3 times within an hour"]


def test_auditors_are_told_and_no_others(watch):
    write(denied(3))
    watch()
    assert [letter.to for letter in mail.outbox] == [["audrey@example.com"]]


def test_letter_leads_to_the_viewings(watch):
    write(denied(3))
    watch()
    assert "http://localhost:8888/admin/keys/viewing/?person=alice" in mail.outbox[0].body


def test_auditor_is_not_told_of_themselves(auditor, monkeypatch, watch):
    monkeypatch.setitem(IDS, "audrey", str(auditor.pk))
    write([now("audrey", payloads=10)])
    assert watch() == []


def test_alert_is_recorded(watch):
    write([now(payloads=12)])
    watch()
    (record,) = AuditRecord.objects.filter(action="alert:raised")
    told = {name: record.details[name] for name in ("kind", "user", "user_id", "number", "threshold")}
    assert told == {"kind": "payloads", "user": "alice", "user_id": "101", "number": 12, "threshold": 10}


def test_it_is_recorded_when_nobody_can_be_told(watch):
    User.objects.all().delete()
    write([now(payloads=10)])
    watch()
    assert AuditRecord.objects.filter(action="alert:raised").count() == 1


def test_webhook_is_told(watch, monkeypatch):
    sent = []
    monkeypatch.setattr(notices, "_send_webhook", sent.append)
    write(denied(3))
    watch()
    facts = {name: sent[0].facts[name] for name in ("kind", "user", "number", "threshold")}
    assert (sent[0].event, facts) == (
        "alert:raised",
        {"kind": "denied", "user": "alice", "number": 3, "threshold": 3},
    )
    assert json.dumps(sent[0].facts)


def test_hours_that_are_over_are_forgotten(watch):
    HourOfPerson.objects.create(actor_kind="user", actor_id="1", hour=timezone.now() - timedelta(hours=5))
    write([now()])
    watch()
    assert [hour.actor_id for hour in HourOfPerson.objects.all()] == ["101"]


def test_rebuilding_the_viewings_counts_nothing_twice(watch):
    write([now(payloads=5)])
    watch()
    viewings.rebuild()
    assert HourOfPerson.objects.get().payloads == 5


def test_start_page_tells_of_it(auditor, watch):
    assert [item for item in attention(auditor) if "alert" in item.text] == []
    write([now(payloads=10)])
    watch()
    (item,) = [item for item in attention(auditor) if "alert" in item.text]
    assert item.text == "1 alert raised in the last 24 hours."
    assert signed_in(auditor).get(item.url).status_code == 200
