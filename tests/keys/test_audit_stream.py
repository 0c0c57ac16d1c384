import json
import time

import pytest

from keys import audit, audit_stream
from keys.audit import AuditAction
from keys.audit_stream import AuditStream
from tests.conftest import OPERATOR


@pytest.fixture
def record(db):
    return audit.record(AuditAction.SESSION_STARTED, actor=OPERATOR)


def test_closed_stream_takes_nothing(record):
    stream = AuditStream()
    stream.put([record])
    assert stream._batches.empty()


def test_line_is_the_record_with_its_mac(record, capsys):
    stream = AuditStream()
    stream.open()
    stream.put([record])
    deadline = time.monotonic() + 5
    while not (out := capsys.readouterr().out) and time.monotonic() < deadline:
        time.sleep(0.01)
    line = json.loads(out)
    assert (line["audit"]["action"], line["mac"]) == ("session:started", record.mac.hex())


def test_what_does_not_fit_is_counted_and_told(record, monkeypatch):
    monkeypatch.setattr(audit_stream, "_CAPACITY", 1)
    stream = AuditStream()
    stream._open = True
    stream.put([record] * 3)
    assert stream.health.lost == 2
    assert json.loads(stream._loss()) == {"audit_lost": 2}
    assert stream._loss() == ""
