"""The rows of the protocol's decision table, over HTTP."""

import base64

import pytest
from django.test import Client

from codec.grants import revoke_grant
from codec.models import Grant
from keys.models import AuditRecord
from tests.conftest import OPERATOR, PLAIN, UI_ORIGIN

# The sample request of Temporal's documentation, to the letter: its base64 lacks the padding.
DOCUMENTATION_SAMPLE = b"""{
  "payloads": [{
    "metadata": {
      "encoding": "anNvbi9wcm90b2J1Zg==",
      "messageType": "dGVtcG9yYWxfc2hvcC5vcmNoZXN0cmF0aW9ucy52MS5TdGFydFNob3BwaW5nQ2FydFJlcXVlc3Q="
    },
    "data": "eyJjYXJ0SWQiOiJleGFtcGxlQ2FydCIsInNob3BwZXJFbWFpbCI6ImV4YW1wbGVAdGVtcG9yYWwuaW8ifQ"
  }]
}"""


@pytest.mark.parametrize(
    "path",
    ["/decode", "//decode", "/a/b/decode", "/a//b//decode", "/payments/decode", "/decode?preserveStorageRefs=true"],
)
def test_decode_answers_at_any_prefix(browser, path):
    assert browser.call(path).status_code == 200


@pytest.mark.parametrize("path", ["/decode/", "/nodecode", "/decoder", "/decode/x.css", "/DECODE", "/decode%0a"])
def test_another_last_segment_is_404_and_never_a_redirect(browser, path):
    assert browser.call(path).status_code == 404


def test_404_of_a_trailing_slash_is_readable_for_the_web_ui(browser):
    answer = browser.call("/decode/")
    assert answer["Access-Control-Allow-Origin"] == UI_ORIGIN
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "trace"])
def test_another_method_is_405(browser, method):
    answer = getattr(browser, method)("/decode", headers={"Origin": UI_ORIGIN})
    assert (answer.status_code, answer["Allow"]) == (405, "POST, OPTIONS")


def test_documentation_sample_passes_verbatim(browser):
    payload = browser.call("/decode", DOCUMENTATION_SAMPLE).json()["payloads"][0]
    assert payload["data"].endswith("ifQ==")


@pytest.mark.parametrize("namespace", [None, "", "undefined", "a b", "../x", "x" * 256, "a,b", "payments\x00"])
def test_no_usable_namespace_is_400(browser, namespace):
    answer = browser.call("/decode", namespace=namespace)
    assert (answer.status_code, answer.json()["code"]) == (400, "namespace_missing")


def test_cookie_request_does_not_take_its_namespace_from_the_path(browser):
    assert browser.call("/payments/decode", namespace=None).status_code == 400


def test_header_namespace_wins_over_the_path(browser):
    assert browser.call("/other/decode", namespace="payments").status_code == 200


def test_bearer_request_takes_its_namespace_from_the_path(db):
    answer = Client().post(
        "/payments/decode", "{}", content_type="application/json", headers={"Authorization": "Bearer x"}
    )
    assert answer.status_code == 401


class TestOrderOfChecks:
    """Each request is wrong in every later respect, too."""

    def test_path_comes_first(self, db):
        assert Client().get("/decode/").status_code == 404

    def test_then_method(self, db):
        assert Client().get("/decode").status_code == 405

    def test_then_media_type(self, db):
        assert Client().post("/decode", "x", content_type="text/plain").status_code == 415

    def test_then_origin(self, db):
        answer = Client().post(
            "/decode", "x", content_type="application/json", headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403

    def test_then_namespace(self, db):
        answer = Client().post("/decode", "x", content_type="application/json", headers={"Origin": UI_ORIGIN})
        assert answer.status_code == 400

    def test_then_sign_in(self, db):
        headers = {"Origin": UI_ORIGIN, "X-Namespace": "nowhere"}
        assert Client().post("/decode", "x", content_type="application/json", headers=headers).status_code == 401

    def test_then_grant(self, mallorys_browser):
        assert mallorys_browser.call("/download", b"x").status_code == 403

    def test_then_storage(self, browser):
        assert browser.call("/download", b"x").status_code == 404

    def test_then_size(self, browser, settings):
        settings.CODEC_MAX_BODY_BYTES = 5
        answer = browser.call("/decode", b"not json")
        assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (413, UI_ORIGIN)

    def test_then_body(self, browser):
        assert browser.call("/decode", b"not json").status_code == 400


def test_verb_that_is_not_granted_is_403(browser, alice, payments):
    Grant.objects.filter(user=alice).update(encode=False)
    assert browser.call("/encode").status_code == 403
    assert browser.call("/decode").status_code == 200


def test_unknown_namespace_answers_like_a_forbidden_one(mallorys_browser):
    known = mallorys_browser.call("/decode", namespace="payments").json()
    unknown = mallorys_browser.call("/decode", namespace="nowhere").json()
    assert known | {"request_id": ""} == unknown | {"request_id": ""}


def test_error_is_a_problem_document_with_a_request_id(mallorys_browser):
    answer = mallorys_browser.call("/decode")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json().keys() == {"title", "status", "detail", "code", "request_id"}
    assert answer.json()["title"] == "Forbidden"


def test_401_says_where_to_sign_in(db):
    headers = {"Origin": UI_ORIGIN, "X-Namespace": "payments"}
    answer = Client().post("/decode", "{}", content_type="application/json", headers=headers)
    assert "http://localhost:8888/login/" in answer["WWW-Authenticate"]
    assert answer["Access-Control-Allow-Origin"] == UI_ORIGIN


@pytest.mark.parametrize("path", ["/decode", "/encode", "/download"])
def test_every_answer_stays_out_of_caches(browser, path):
    assert browser.call(path)["Cache-Control"] == "no-store"


def test_answer_is_json_in_order_and_in_full(browser):
    body = {"payloads": [PLAIN, {}, {"metadata": {"a": None}}, PLAIN]}
    answer = browser.call("/decode", body)
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"payloads": [PLAIN, {}, {"metadata": {"a": ""}}, PLAIN]}


def test_unknown_field_is_ignored_by_decode_and_refused_by_encode(browser):
    body = {"payloads": [PLAIN | {"extra": 1}]}
    assert browser.call("/decode", body).json() == {"payloads": [PLAIN]}
    assert browser.call("/encode", body).status_code == 400


def test_readable_answer_shows_text_and_json(browser, encoded):
    payload = browser.call("/decode?readable=true", {"payloads": [encoded]}).json()["payloads"][0]
    assert payload["metadata"]["encoding"] == "json/plain"
    assert payload["data"] == base64.b64decode(PLAIN["data"]).decode().strip('"')


@pytest.mark.parametrize("setting", ["CODEC_MAX_PAYLOADS", "CODEC_MAX_METADATA_ENTRIES"])
def test_too_many_of_something_is_413(browser, settings, setting):
    setattr(settings, setting, 1)
    two = {"payloads": [{"metadata": {"a": "", "b": ""}}, {}]}
    assert browser.call("/decode", two).status_code == 413


def test_caller_above_the_rate_gets_429(browser, settings):
    settings.CODEC_REQUESTS_PER_MINUTE = 2
    answers = [browser.call("/decode") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1]["Retry-After"]


def test_namespace_may_return_a_denied_decode_still_encoded(mallorys_browser, payments, encoded):
    payments.denied_decode = "return_encoded"
    payments.save()
    answer = mallorys_browser.call("/decode", {"payloads": [encoded]})
    assert (answer.status_code, answer.json()) == (200, {"payloads": [encoded]})


def test_return_encoded_applies_to_no_other_refusal(browser, payments, alice):
    payments.denied_decode = "return_encoded"
    payments.save()
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="test")
    assert browser.call("/encode").status_code == 403
    assert (
        Client()
        .post(
            "/decode", "{}", content_type="application/json", headers={"Origin": UI_ORIGIN, "X-Namespace": "payments"}
        )
        .status_code
        == 401
    )


def test_download_is_recorded_whoever_asks(browser, mallorys_browser):
    browser.call("/download", b"x")
    mallorys_browser.call("/download", b"x")
    records = AuditRecord.objects.filter(action="payload:downloaded").order_by("pk")
    told = list(records.values_list("actor_name", "outcome", "reason"))
    assert told == [("alice", "failed", "no_storage"), ("mallory", "denied", "no_grant")]
