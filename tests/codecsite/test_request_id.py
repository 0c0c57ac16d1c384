"""One number for a request: in its answer, its log lines and its audit record."""

import json

from codecsite import logs
from codecsite.logs import JsonLines
from keys.models import AuditRecord


def test_error_answer_and_audit_record_have_the_same_id(mallorys_browser):
    answer = mallorys_browser.call("/decode").json()
    assert AuditRecord.objects.latest("id").request_id == answer["request_id"]


def test_log_line_has_the_id_of_its_request(mallorys_browser, caplog):
    answer = mallorys_browser.call("/decode").json()
    assert json.loads(JsonLines().format(caplog.records[-1]))["request_id"] == answer["request_id"]


def test_every_request_has_another_id(mallorys_browser):
    first, second = (mallorys_browser.call("/decode").json()["request_id"] for _ in range(2))
    assert first != second


def test_id_that_a_client_sends_is_not_believed(mallorys_browser):
    answer = mallorys_browser.call("/decode", Request_Id="forged", X_Request_Id="forged").json()
    assert len(answer["request_id"]) == 32
    assert logs.request_id.get() != "forged"
