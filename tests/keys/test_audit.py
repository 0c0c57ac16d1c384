"""The logbook: what a record says, what it escapes, and that it stays as written."""

import os
import re
import socket

import pytest
from django.db import DatabaseError, transaction

from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction, Outcome, printable
from keys.models import AuditRecord
from tests.conftest import OPERATOR
from tests.database import stored

ALICE = Actor(
    kind=ActorKind.USER,
    id="7",
    name="alice",
    credential="session 0123456789ab",
    address="192.0.2.7",
    web_origin="https://temporal.example.com",
    user_agent="Firefox",
    request_id="r1",
)


@pytest.fixture
def record(db) -> AuditRecord:
    line = audit.record(AuditAction.PAYLOAD_DECODED, actor=ALICE, namespace="payments", details={"payloads": 2})
    return stored(line)


# What a record says ---------------------------------------------------------------------------------------------------


def test_record_tells_who_did_what_where(record):
    stored = AuditRecord.objects.values().get()
    facts = {"actor_kind": "user", "actor_id": "7", "actor_name": "alice", "credential": "session 0123456789ab"}
    facts |= {"address": "192.0.2.7", "web_origin": "https://temporal.example.com", "user_agent": "Firefox"}
    facts |= {"action": "payload:decoded", "outcome": "allowed", "namespace": "payments", "request_id": "r1"}
    assert stored | facts | {"details": {"payloads": 2}} == stored


def test_record_names_the_process_that_wrote_it(record):
    assert record.instance == f"{socket.gethostname()[:48]}:{os.getpid()}"


def test_records_have_ids_of_their_own(record):
    assert audit.record(AuditAction.KEY_CREATED, actor=OPERATOR).event_id != record.event_id


def test_denied_record_carries_its_reason_code(db):
    denied = audit.record(AuditAction.PAYLOAD_DECODED, actor=ALICE, outcome=Outcome.DENIED, reason="no_grant")
    assert (denied.outcome, denied.reason) == ("denied", "no_grant")


def test_record_for_people_is_one_line(record):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d payload:decoded allowed", str(record))


@pytest.mark.parametrize("action", AuditAction)
def test_action_is_subject_and_act(action):
    assert re.fullmatch(r"[a-z-]+:[a-z-]{1,30}", action)


# Text from outside ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
        ("", ""),
        ("a\nb", r"a\u{a}b"),
        ("a\r\nb", r"a\u{d}\u{a}b"),
        ("a\0b", r"a\u{0}b"),
        ("a\x1b[31mb", r"a\u{1b}[31mb"),
        ("a\x7fb", r"a\u{7f}b"),
        ("é", r"\u{e9}"),
        ("\u202egpj.exe", r"\u{202e}gpj.exe"),
        ("😀", r"\u{1f600}"),
        ("\ud800", r"\u{d800}"),
    ],
)
def test_text_from_outside_is_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["x" * 65, "x" * 10_000, "\n" * 64, "😀" * 64, "x" * 63 + "\n"])
def test_text_from_outside_is_cut_to_64_characters(text):
    assert len(printable(text)) == 64


def test_text_of_64_characters_is_whole():
    assert printable("x" * 64) == "x" * 64


@pytest.mark.parametrize("field", ["address", "web_origin", "user_agent", "request_id", "credential"])
def test_facts_of_the_request_are_stored_escaped_and_cut(db, field):
    actor = Actor(kind=ActorKind.ANONYMOUS, **{field: "\0\n" + "x" * 100})
    stored = getattr(audit.record(AuditAction.REQUEST_REFUSED, actor=actor), field)
    assert stored == r"\u{0}\u{a}" + "x" * 54


# Append only ----------------------------------------------------------------------------------------------------------


def test_record_is_not_changed(record):
    record.outcome = Outcome.DENIED
    with pytest.raises(TypeError, match="never changed"):
        record.save()


def test_record_is_not_deleted(record):
    with pytest.raises(TypeError, match="never deleted"):
        record.delete()


def test_records_are_not_updated_together(record):
    with pytest.raises(TypeError, match="never changed"):
        AuditRecord.objects.all().update(outcome=Outcome.DENIED)


def test_records_are_not_updated_in_bulk(record):
    with pytest.raises(TypeError, match="never changed"), transaction.atomic():
        AuditRecord.objects.bulk_update([record], ["outcome"])


def test_records_are_not_written_over(record):
    with pytest.raises(TypeError, match="never changed"):
        AuditRecord.objects.update_or_create(pk=record.pk, defaults={"outcome": Outcome.DENIED})


def test_records_are_not_deleted_together(record):
    with pytest.raises(TypeError, match="never deleted"):
        AuditRecord.objects.filter(pk=record.pk).delete()


# Unwritable -----------------------------------------------------------------------------------------------------------


def test_record_that_cannot_be_written_is_an_error(audit_unwritable):
    with pytest.raises(DatabaseError, match="unwritable"):
        audit.record(AuditAction.KEY_CREATED, actor=OPERATOR)
