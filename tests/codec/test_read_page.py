"""The Read page: the same rights, use case and audit as /decode, for what people paste or drop."""

import html
import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from codec import reading
from codec.callers.principal import Principal
from codec.errors import MalformedBody
from codec.grants import revoke_grant
from codec.models import Grant
from keys import usage
from keys.models import AuditRecord, Namespace
from keys.rotation import create_namespace
from tests import canary
from tests.conftest import OPERATOR, PLAIN, CodecClient, signed_in

LARGE = "12345678901234567890.0001"


@pytest.fixture
def history(encoded):
    return {
        "events": [
            {
                "eventId": "1",
                "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
                "workflowExecutionStartedEventAttributes": {"input": {"payloads": [encoded, encoded]}},
            },
            {"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED"},
        ]
    }


def paste(client, value, **fields):
    text = value if isinstance(value, str) else json.dumps(value)
    return client.post("/read/", {"namespace": "payments", "text": text, **fields})


def part(client, payloads, ticket=None, *, namespace="payments", **headers):
    sent = {"X-Namespace": namespace, "X-Read": ticket, **headers}
    present = {name: value for name, value in sent.items() if value is not None}
    body = json.dumps({"payloads": payloads})
    return client.post("/read/part/", body, content_type="application/json", headers=present)


def shown(answer):
    return html.unescape(answer.content.decode())


def records(outcome="allowed"):
    return list(AuditRecord.objects.filter(action="payload:read", outcome=outcome).order_by("pk"))


# The form, without JavaScript -----------------------------------------------------------------------------------------


def test_read_needs_a_session(db):
    assert Client().get("/read/")["Location"] == "/login/?next=/read/"


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: [p], lambda p: {"payloads": [p]}, lambda p: {"a": {"b": p}}])
def test_pasted_payload_reads(browser, encoded, wrap):
    assert canary.PLAINTEXT in shown(paste(browser, wrap(encoded)))


def test_pasted_history_reads_event_by_event(browser, history):
    page = shown(paste(browser, history))
    assert page.count(canary.PLAINTEXT) == 2
    assert "1 Workflow execution started" in page
    assert "2 payloads read" in page


def test_file_reads(browser, history):
    file = SimpleUploadedFile("history.json", json.dumps(history).encode())
    answer = browser.post("/read/", {"namespace": "payments", "file": file})
    assert shown(answer).count(canary.PLAINTEXT) == 2


def test_large_file_reads(browser, encoded):
    file = SimpleUploadedFile("history.json", json.dumps({"filler": "x" * 6_000_000, "memo": encoded}).encode())
    answer = browser.post("/read/", {"namespace": "payments", "file": file, "download": "1"})
    assert canary.PLAINTEXT in answer.json()["memo"]["data"]


def test_download_is_a_file_with_the_payloads_readable(browser, history):
    answer = paste(browser, history, download="1")
    assert answer["Content-Disposition"] == 'attachment; filename="decoded.json"'
    assert answer.json()["events"][0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0] == {
        "metadata": {"encoding": "json/plain"},
        "data": canary.PLAINTEXT,
    }


def test_large_numbers_keep_their_digits(browser):
    plain = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAuMDAwMQ=="}
    payload = browser.call("/encode", {"payloads": [plain]}).json()["payloads"][0]
    assert LARGE in shown(paste(browser, payload))


def test_plaintext_is_not_kept_by_the_browser(browser, encoded):
    assert "no-store" in paste(browser, encoded)["Cache-Control"]


def test_plaintext_is_escaped(browser):
    plain = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "IjxzY3JpcHQ+Ig=="}  # "<script>"
    payload = browser.call("/encode", {"payloads": [plain]}).json()["payloads"][0]
    page = paste(browser, payload).content.decode()
    assert "&lt;script&gt;" in page
    assert '"<script>' not in page


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"text": ""}, 400, "Paste something or choose a file"),
        ({"text": "{"}, 400, "The body is not JSON"),
        ({"text": "[" * 300_000}, 413, "more JSON values"),
        ({"text": "[]", "namespace": "elsewhere"}, 400, "Namespace"),
    ],
)
def test_form_says_what_is_wrong(browser, fields, status, said):
    answer = browser.post("/read/", {"namespace": "payments", **fields})
    assert answer.status_code == status
    assert said in shown(answer)
    assert "Nothing was decoded." in shown(answer)


def test_both_at_once_are_refused(browser, encoded):
    answer = paste(browser, encoded, file=SimpleUploadedFile("a.json", b"{}"))
    assert answer.status_code == 400


def test_one_damaged_payload_spoils_all_of_a_form(browser, encoded):
    damaged = encoded | {"data": encoded["data"][:-8] + "AAAAAAA="}
    answer = paste(browser, [encoded, damaged])
    assert answer.status_code == 400
    assert canary.PLAINTEXT not in shown(answer)
    assert records("failed")[0].reason == "undecodable"


def test_form_needs_the_csrf_token(alice):
    browser = CodecClient(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert paste(browser, {}).status_code == 403


def test_without_a_grant_there_is_no_form(mallorys_browser):
    page = shown(mallorys_browser.get("/read/"))
    assert "<textarea" not in page
    assert 'href="/access/request/"' in page


def test_namespaces_to_choose_are_those_one_may_decode(browser, alice):
    create_namespace("secret-project", actor=OPERATOR)
    assert re.findall(r'<option value="([^"]+)"', shown(browser.get("/read/"))) == ["payments"]


def test_page_has_nothing_that_its_content_security_policy_forbids(browser, history):
    page = paste(browser, history).content.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)


# Parts, which the page's script sends ---------------------------------------------------------------------------------


def test_part_is_answered_as_the_protocol_answers(browser, encoded):
    answer = part(browser, [encoded])
    assert answer.json() == {"payloads": [PLAIN]}
    assert "no-store" in answer["Cache-Control"]


def test_parts_of_one_reading_share_one_id_and_are_numbered(browser, encoded):
    ticket = None
    for _ in range(3):
        ticket = part(browser, [encoded], ticket)["X-Read"]
    details = [record.details for record in records()]
    assert len({each["read"] for each in details}) == 1
    assert [each["part"] for each in details] == [1, 2, 3]
    assert (details[0]["payloads"], details[0]["keys"]) == (1, {"canary": 1})


def test_failed_part_is_a_part_of_the_trail(browser, encoded):
    damaged = encoded | {"data": encoded["data"][:-8] + "AAAAAAA="}
    answer = part(browser, [damaged])
    part(browser, [encoded], answer["X-Read"])
    assert (answer.status_code, answer.json()["code"]) == (400, "undecodable")
    assert (records("failed")[0].details["part"], records()[0].details["part"]) == (1, 2)
    assert records("failed")[0].details["read"] == records()[0].details["read"]


def test_each_reading_has_an_id_of_its_own(browser, encoded):
    part(browser, [encoded])
    paste(browser, encoded)
    assert len({record.details["read"] for record in records()}) == 2


@pytest.mark.parametrize("ticket", ["", "x", "W10:1abc:sig"])
def test_made_up_ticket_is_refused(browser, encoded, ticket):
    assert part(browser, [encoded], ticket).status_code == 400


def test_ticket_of_somebody_else_is_refused(alice):
    ticket = reading.ticket(reading.begin(), Principal(alice.pk + 1, "x", "session"))
    with pytest.raises(MalformedBody):
        reading.follow(ticket, Principal(alice.pk, "alice", "session"))


def test_old_ticket_is_refused(browser, encoded, monkeypatch):
    ticket = part(browser, [encoded])["X-Read"]
    monkeypatch.setattr(reading, "_MAX_AGE", -1)
    assert part(browser, [encoded], ticket).status_code == 400


def test_revoked_grant_stops_the_next_part(browser, encoded):
    ticket = part(browser, [encoded])["X-Read"]
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="tests")
    answer = part(browser, [encoded], ticket)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert records("denied")[0].details["part"] == 2


def test_denied_reader_gets_no_ciphertext_either(browser, encoded):
    Namespace.objects.update(denied_decode=Namespace.DeniedDecode.RETURN_ENCODED)
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="tests")
    assert part(browser, [encoded]).status_code == 403


@pytest.mark.parametrize("namespace", ["payments", "nowhere"])
def test_stranger_is_refused_alike_everywhere(mallorys_browser, namespace):
    answer = part(mallorys_browser, [PLAIN], namespace=namespace)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_ended_session_is_401(browser, encoded, alice):
    browser.cookies.clear()
    assert part(browser, [encoded]).status_code == 401


def test_disabled_user_is_401(browser, encoded, alice):
    alice.is_active = False
    alice.save()
    assert part(browser, [encoded]).status_code == 401


@pytest.mark.parametrize(("namespace", "status"), [(None, 400), ("undefined", 400), ("a b", 400)])
def test_part_needs_a_namespace(browser, encoded, namespace, status):
    assert part(browser, [encoded], namespace=namespace).status_code == status


def test_part_takes_a_post(browser):
    assert browser.get("/read/part/").status_code == 405


def test_part_needs_the_csrf_token(alice, granted):
    browser = CodecClient(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert part(browser, [PLAIN]).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_part_is_for_our_own_pages(browser, encoded, site):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", "Origin": "http://localhost:8080"}
    answer = part(browser, [encoded], **headers)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer


def test_too_many_payloads_are_refused(browser, settings):
    settings.CODEC_MAX_PAYLOADS = 2
    assert part(browser, [PLAIN] * 3).status_code == 413


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_recorded_is_not_read(browser, encoded, audit_unwritable):
    answer = part(browser, [encoded])
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert canary.PLAINTEXT not in answer.content.decode()


def test_reading_counts_as_use_of_the_key(browser, encoded, canary_key, monkeypatch):
    part(browser, [encoded])
    monkeypatch.setattr(usage, "_SETTLED", -usage._SETTLED)
    assert usage.use_of(canary_key).decodes_in_30_days == 1


def test_another_person_begins_a_reading_of_their_own(browser, encoded, bobs_browser, bob):
    ticket = part(browser, [encoded])["X-Read"]
    assert part(signed_in(bob), [encoded], ticket).status_code == 400
