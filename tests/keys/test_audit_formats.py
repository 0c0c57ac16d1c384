import csv
import json

import pytest

from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction, Outcome
from keys.audit_formats import Format
from keys.models import AuditRecord
from tests.conftest import OPERATOR

EVE = Actor(
    kind=ActorKind.USER,
    id="7",
    name="=HYPERLINK(1)",
    credential="session 0123456789ab",
    address="192.0.2.7",
    user_agent="+Firefox",
    request_id="r1",
)


@pytest.fixture
def record(db) -> AuditRecord:
    audit.record(
        AuditAction.PAYLOAD_DECODED,
        actor=EVE,
        outcome=Outcome.DENIED,
        reason="no_grant",
        namespace="payments",
        details={"payloads": 2},
    )
    return AuditRecord.objects.get()


def one_line(record: AuditRecord, format: Format) -> str:
    *_, line = format.lines([record])
    assert line.endswith(b"\n")
    return line.decode()


def test_json_line_is_the_record_with_its_mac(record):
    line = json.loads(one_line(record, Format.JSONL))
    assert line["mac"] == bytes(record.mac).hex()
    assert (line["actor_name"], line["details"], line["chain"]) == ("=HYPERLINK(1)", {"payloads": 2}, "management")


def test_csv_has_a_header(record):
    header, _ = Format.CSV.lines([record])
    assert header.startswith(b"at,action,outcome,")


def test_csv_cell_is_never_a_formula(record):
    header, line = Format.CSV.lines([record])
    row = dict(zip(*csv.reader([header.decode(), line.decode()]), strict=True))
    assert (row["actor_name"], row["user_agent"]) == ("'=HYPERLINK(1)", "'+Firefox")
    assert (row["namespace"], row["details"]) == ("payments", '{"payloads":2}')


def test_ocsf_event_has_what_the_class_requires(record):
    event = json.loads(one_line(record, Format.OCSF))
    assert {name: event[name] for name in ("category_uid", "class_uid", "activity_id", "type_uid", "status_id")} == {
        "category_uid": 6,
        "class_uid": 6003,
        "activity_id": 2,
        "type_uid": 600302,
        "status_id": 2,
    }
    assert event["actor"] == {
        "user": {"name": "=HYPERLINK(1)", "uid": "7", "type": "user"},
        "session": {"uid": "session 0123456789ab"},
    }
    assert (event["src_endpoint"], event["api"]["operation"]) == ({"ip": "192.0.2.7"}, "payload:decoded")
    assert event["metadata"]["uid"] == str(record.event_id)
    assert event["time"] == int(record.at.timestamp() * 1000)


def test_ocsf_event_of_a_command_names_the_machine_and_the_act(db):
    audit.record(AuditAction.KEY_DISABLED, actor=OPERATOR)
    event = json.loads(one_line(AuditRecord.objects.get(), Format.OCSF))
    assert (event["activity_id"], event["activity_name"], event["status_id"]) == (99, "key:disabled", 1)
    assert event["src_endpoint"]["name"]


def test_ocsf_event_of_nobody_known_has_an_actor(db):
    audit.record(AuditAction.REQUEST_REFUSED, actor=Actor(kind=ActorKind.ANONYMOUS, address="192.0.2.1"))
    assert json.loads(one_line(AuditRecord.objects.get(), Format.OCSF))["actor"] == {"app_name": "anonymous"}
