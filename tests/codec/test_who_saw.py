"""Who has seen this payload? Through /decode, as the Web UI asks; then by the use case, the command and the page."""

import base64
import gzip
import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import CommandError
from django.db import DatabaseError
from temporalio.api.common.v1 import Payload

from codec import who_saw as module
from codec.grants import give_grant
from codec.models import User
from codec.payload_codec import aes_gcm
from codec.payload_codec.keysource import DataKey
from codec.who_saw import Kind, who_saw
from codec.wire import WireLimits, parse_payloads, write_payloads
from keys import fingerprint_index, lifecycle, rotation
from keys.models import AuditRecord, Namespace
from tests import canary
from tests.commands import manage
from tests.conftest import OPERATOR, PLAIN, CodecClient, signed_in

PAGE = "/admin/keys/auditrecord/who-saw/"


@pytest.fixture
def bobs_codec(bob, payments) -> CodecClient:
    """Bob's browser, with a grant: the second reader."""
    give_grant(bob, payments, decode=True, encode=False, actor=OPERATOR, reason="tests")
    return signed_in(bob)


def ask(*payloads: dict, **options):
    parsed = parse_payloads(
        json.dumps({"payloads": payloads}).encode(), limits=WireLimits(), refuse_unknown_fields=False
    )
    return who_saw(parsed, actor=OPERATOR, **options)


def names(answer) -> list[str]:
    return [person.name for person in answer.people]


def decode(client: CodecClient, *payloads: dict, namespace: str = "payments") -> int:
    return client.call("/decode", {"payloads": payloads}, namespace=namespace).status_code


def as_json(payload) -> dict:
    return json.loads(write_payloads([payload]))["payloads"][0]


def as_payload(payload: dict):
    (parsed,) = parse_payloads(
        json.dumps({"payloads": [payload]}).encode(), limits=WireLimits(), refuse_unknown_fields=False
    )
    return parsed


# Found ----------------------------------------------------------------------------------------------------------------


def test_who_decoded_it_is_found_with_time_address_and_credential(browser, encoded):
    assert decode(browser, encoded) == 200
    (sighting,) = ask(encoded).sightings
    record = AuditRecord.objects.get(action="payload:decoded")
    assert (sighting.record, sighting.payloads, sighting.was_shown) == (record, [1], True)
    assert (record.actor_name, record.address) == ("alice", "127.0.0.1")
    assert record.credential.startswith("session ")


def test_everybody_who_decoded_it_is_found(browser, bobs_codec, encoded):
    decode(browser, encoded)
    decode(bobs_codec, encoded)
    decode(browser, encoded)
    answer = ask(encoded)
    assert [(person.name, person.requests) for person in answer.people] == [("alice", 2), ("bob", 1)]
    assert answer.requests == 3
    assert [one.record.actor_name for one in answer.sightings] == ["alice", "bob", "alice"]


def test_each_payload_of_a_list_is_told_apart(browser, encoded):
    other = browser.call("/encode", {"payloads": [PLAIN]}).json()["payloads"][0]
    decode(browser, other)
    answer = ask(encoded, other, encoded)
    assert [one.payloads for one in answer.sightings] == [[2]]
    assert answer.people[0].payloads == {2}


def test_payload_that_stands_twice_is_found_twice(browser, encoded):
    decode(browser, encoded)
    assert ask(encoded, encoded).people[0].payloads == {1, 2}


def test_request_for_many_payloads_is_found_once(browser, encoded):
    other = browser.call("/encode", {"payloads": [PLAIN]}).json()["payloads"][0]
    decode(browser, encoded, other)
    assert [one.payloads for one in ask(encoded, other).sightings] == [[1, 2]]


def test_indexed_rebuilt_and_unindexed_say_the_same(browser, encoded):
    decode(browser, encoded)
    unindexed = names(ask(encoded))
    fingerprint_index.refresh()
    indexed = names(ask(encoded))
    manage("rebuild_fingerprint_index")
    assert unindexed == indexed == names(ask(encoded)) == ["alice"]


def test_it_is_found_after_its_key_was_destroyed(browser, payments, canary_key, encoded):
    decode(browser, encoded)
    rotation.rotate_key(payments, actor=OPERATOR, reason="tests")
    disabled = lifecycle.disable(canary_key, actor=OPERATOR, reason="tests")
    lifecycle.schedule_destruction(disabled, actor=OPERATOR, reason="tests", days=7, override=True)
    payments.key_versions.filter(pk=canary_key.pk).update(state="DESTROYED", wrapped=None, destroy_at=None)
    assert names(ask(encoded)) == ["alice"]


def test_no_key_is_needed(browser, encoded, settings):
    decode(browser, encoded)
    settings.CODEC_KEK = "local:/nowhere"
    assert names(ask(encoded)) == ["alice"]


@pytest.mark.parametrize("key_id", ["", "01234567890123456789012345678901"])
def test_key_that_is_shown_under_another_name_is_found(browser, payments, key_id):
    data_key = key_id.encode() or bytes(range(32))
    rotation.import_key(payments, key_id, data_key, primary=False, actor=OPERATOR)
    key = DataKey("any", key_id.encode(), AESGCM(data_key))
    payload = as_json(aes_gcm.encrypt(as_payload(PLAIN), key))
    assert decode(browser, payload) == 200
    assert names(ask(payload)) == ["alice"]


def test_encryption_inside_a_compression_is_found(browser, canary_key):
    key = DataKey("canary", b"canary", AESGCM(canary.DATA_KEY))
    encrypted = aes_gcm.encrypt(as_payload(PLAIN), key)
    payload = Payload(metadata={"encoding": b"binary/gzip"}, data=gzip.compress(encrypted.SerializeToString()))
    assert decode(browser, as_json(payload)) == 200
    assert names(ask(as_json(payload))) == ["alice"]


def test_payload_that_was_encrypted_twice_is_found_by_either_layer(browser, encoded):
    key = DataKey("canary", b"canary", AESGCM(canary.DATA_KEY))
    twice = as_json(aes_gcm.encrypt(as_payload(encoded), key))
    assert decode(browser, twice) == 200
    assert (names(ask(twice)), names(ask(encoded))) == (["alice"], ["alice"])


# Not found ------------------------------------------------------------------------------------------------------------


def test_payload_that_nobody_has_decoded_is_found_nowhere(browser, encoded):
    answer = ask(encoded)
    assert (answer.people, answer.sightings, answer.kinds) == ([], [], [Kind.SOUGHT])


def test_denied_request_is_no_sighting(mallorys_browser, browser, encoded):
    assert decode(mallorys_browser, encoded) == 403
    assert ask(encoded).requests == 0


def test_payload_returned_as_it_came_is_no_sighting(mallorys_browser, browser, payments, encoded):
    Namespace.objects.update(denied_decode=Namespace.DeniedDecode.RETURN_ENCODED)
    assert decode(mallorys_browser, encoded) == 200
    assert ask(encoded).requests == 0


def test_request_that_failed_afterwards_shows_nothing_to_anybody(browser, encoded):
    broken = encoded | {"data": base64.b64encode(b"x" * 40).decode()}
    assert decode(browser, encoded, broken) == 400
    answer = ask(encoded)
    assert (answer.people, [one.was_shown for one in answer.sightings]) == ([], [False])


class TestOtherNamespace:
    """`refunds` has the same key under the same id."""

    @pytest.fixture
    def refunds(self, alice: User, granted) -> Namespace:
        namespace = rotation.create_namespace("refunds", actor=OPERATOR)
        rotation.import_key(namespace, "canary", canary.DATA_KEY, primary=True, actor=OPERATOR)
        give_grant(alice, namespace, decode=True, encode=False, actor=OPERATOR, reason="tests")
        return namespace

    def test_decode_in_one_is_none_in_the_other(self, browser, encoded, refunds):
        decode(browser, encoded)
        assert names(ask(encoded, namespace="payments")) == ["alice"]
        assert names(ask(encoded, namespace="refunds")) == []

    def test_without_a_namespace_all_are_searched(self, browser, encoded, refunds):
        decode(browser, encoded, namespace="refunds")
        (sighting,) = ask(encoded).sightings
        assert sighting.record.namespace == "refunds"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, Kind.SOUGHT),
        ({"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA==", "encryption-key-id": "eA=="}}, Kind.UNKNOWN_KEY),
        ({"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}}, Kind.SOUGHT),
        ({"data": "QUFB"}, Kind.DAMAGED),
        ({"metadata": {"encoding": "YmluYXJ5L3psaWI="}}, Kind.DAMAGED),
        (PLAIN, Kind.NOT_ENCRYPTED),
    ],
)
def test_what_cannot_be_searched_for_is_said(browser, encoded, change, kind):
    assert ask(encoded | change).kinds == [kind]


def test_more_sightings_than_are_shown_are_counted(browser, encoded, monkeypatch):
    monkeypatch.setattr(module, "MOST_SIGHTINGS", 2)
    for _ in range(4):
        decode(browser, encoded)
    answer = ask(encoded)
    assert (answer.requests, len(answer.sightings), answer.people[0].requests) == (4, 2, 4)


# The search itself ----------------------------------------------------------------------------------------------------


def test_search_is_recorded_with_counts_alone(browser, encoded):
    decode(browser, encoded)
    ask(encoded, PLAIN, namespace="payments")
    record = AuditRecord.objects.get(action="audit:searched")
    assert record.details == {"payloads": 2, "sought": 1, "found": 1}
    assert record.namespace == "payments"


def test_search_that_cannot_be_recorded_is_not_answered(browser, encoded, audit_unwritable):
    with pytest.raises(DatabaseError):
        ask(encoded)


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(browser, encoded) -> str:
    """An exported history with a payload that alice decoded, and one that nobody did."""
    other = browser.call("/encode", {"payloads": [PLAIN]}).json()["payloads"][0]
    decode(browser, encoded)
    started = {
        "eventId": "1",
        "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
        "workflowExecutionStartedEventAttributes": {"input": {"payloads": [encoded]}},
    }
    completed = {"eventId": "2", "workflowExecutionCompletedEventAttributes": {"result": {"payloads": [other]}}}
    return json.dumps({"events": [started, completed]})


def test_command_tells_of_a_history_in_a_file(history, tmp_path):
    (tmp_path / "history.json").write_text(history)
    printed = manage("who_saw", str(tmp_path / "history.json"))
    assert "2 payload(s): 2 searched for." in printed
    assert "alice (user) was shown 1 of 2, in 1 request(s)" in printed
    assert "1 Workflow execution started" in printed


def test_command_reads_standard_input(history):
    assert "alice (user)" in manage("who_saw", stdin=history.encode())
    assert "alice (user)" in manage("who_saw", "-", stdin=history.encode())


def test_command_answers_in_json(history):
    told = json.loads(manage("who_saw", "--json", "--namespace", "payments", stdin=history.encode()))
    assert told["payloads"] == [
        {"place": "1 Workflow execution started", "kind": "sought"},
        {"place": "Part 2", "kind": "sought"},
    ]
    assert [(person["name"], person["payloads"]) for person in told["people"]] == [("alice", [1])]
    assert told["latest"][0]["address"] == "127.0.0.1"


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"payloads": [one]}])
def test_command_takes_a_payload_or_a_list(browser, encoded, wrap):
    decode(browser, encoded)
    assert "alice (user)" in manage("who_saw", stdin=json.dumps(wrap(encoded)).encode())


@pytest.mark.parametrize("quoted", ["{}", '"{}"', ' "{}"\n'])
def test_command_takes_the_data_alone_as_the_web_ui_shows_it(browser, encoded, quoted):
    decode(browser, encoded)
    assert "alice (user)" in manage("who_saw", stdin=quoted.format(encoded["data"]).encode())


def test_data_alone_may_be_broken_into_lines(browser, encoded):
    decode(browser, encoded)
    lines = "\n".join([encoded["data"][:30], encoded["data"][30:]])
    assert "alice (user)" in manage("who_saw", stdin=lines.encode())


def test_data_alone_is_searched_for_under_every_key(browser, payments, encoded):
    rotation.rotate_key(payments, actor=OPERATOR, reason="tests")
    newer = browser.call("/encode", {"payloads": [PLAIN]}).json()["payloads"][0]
    decode(browser, newer)
    assert "alice (user)" in manage("who_saw", stdin=newer["data"].encode())
    assert "Nobody" in manage("who_saw", stdin=encoded["data"].encode())


def test_deeply_nested_document_is_searched_through(browser, encoded):
    decode(browser, encoded)
    nested = "[" * 900 + json.dumps(encoded) + "]" * 900
    assert "alice (user)" in manage("who_saw", stdin=nested.encode())


def test_more_values_than_a_history_has_are_refused(db):
    with pytest.raises(CommandError, match="This has more JSON values"):
        manage("who_saw", stdin=b"[" + b"1," * 2_000_001 + b"1]")


def test_command_says_that_nobody_was_shown_it(browser, encoded):
    assert "Nobody has been shown" in manage("who_saw", stdin=json.dumps(encoded).encode())


@pytest.mark.parametrize(
    ("stdin", "arguments"),
    [(b"{", []), (b"{}", []), (b"", []), (b"{}", ["/nowhere/file"]), (json.dumps(PLAIN).encode(), ["--namespace=x"])],
)
def test_command_refuses_what_it_cannot_search(db, stdin, arguments):
    with pytest.raises(CommandError):
        manage("who_saw", *arguments, stdin=stdin)


# The page -------------------------------------------------------------------------------------------------------------


def test_page_shows_who_has_seen_a_pasted_payload(bobs_browser, browser, encoded):
    decode(browser, encoded)
    page = bobs_browser.post(PAGE, {"pasted": json.dumps(encoded)}).content.decode()
    assert "1 person has seen it" in page
    assert "alice" in page
    assert "session " in page


def test_page_takes_a_file_of_more_than_django_holds_by_default(bobs_browser, history):
    padded = history + " " * 3_000_000
    file = SimpleUploadedFile("history.json", padded.encode())
    page = bobs_browser.post(PAGE, {"pasted": "", "file": file}).content.decode()
    assert "1 person has seen 1 of the 2 payloads" in page


def test_page_links_to_the_viewing(bobs_browser, browser, encoded):
    decode(browser, encoded)
    page = bobs_browser.post(PAGE, {"pasted": json.dumps(encoded)})
    (row,) = page.context["rows"]
    assert f"/admin/keys/viewing/{row['viewing'].pk}/change/" in page.content.decode()


def test_page_narrows_down_to_a_namespace(bobs_browser, browser, encoded):
    decode(browser, encoded)
    rotation.create_namespace("other", actor=OPERATOR)
    page = bobs_browser.post(PAGE, {"pasted": json.dumps(encoded), "namespace": "other"}).content.decode()
    assert "Nobody has seen it through this server, in other" in page


def test_page_refuses_a_namespace_with_a_slip_in_it(bobs_browser, browser, encoded):
    decode(browser, encoded)
    page = bobs_browser.post(PAGE, {"pasted": json.dumps(encoded), "namespace": "paymetns"}).content.decode()
    assert "There is no namespace paymetns." in page
    assert not AuditRecord.objects.filter(action="audit:searched").exists()


@pytest.mark.parametrize("pasted", ["", "   ", "{", "[]", '"text"', '{"payloads": [{"metadata": {"encoding": "!"}}]}'])
def test_page_says_what_is_wrong_with_what_was_pasted(bobs_browser, pasted):
    page = bobs_browser.post(PAGE, {"pasted": pasted}).content.decode()
    assert 'class="notice bad"' in page
    assert not AuditRecord.objects.filter(action="audit:searched").exists()


def test_page_does_not_repeat_what_was_pasted(bobs_browser, browser, encoded):
    page = bobs_browser.post(PAGE, {"pasted": json.dumps(encoded)}).content.decode()
    assert encoded["data"] not in page


def test_search_on_the_page_is_recorded_under_the_auditor(bobs_browser, browser, encoded):
    bobs_browser.post(PAGE, {"pasted": json.dumps(encoded)})
    assert AuditRecord.objects.get(action="audit:searched").actor_name == "bob"


def test_looking_at_the_page_searches_nothing(bobs_browser):
    assert bobs_browser.get(PAGE).status_code == 200
    assert not AuditRecord.objects.filter(action="audit:searched").exists()
