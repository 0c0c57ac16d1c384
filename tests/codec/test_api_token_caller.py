"""`Authorization: Bearer tcs_…` at the codec endpoints: who it is, how far it reaches, and every way to be refused."""

from datetime import timedelta

import pytest
from django.utils import timezone

from codec import refusals
from codec.callers import api_token
from codec.callers.principal import Right
from codec.grants import give_grant, grants_in_force, revoke_grant
from codec.models import ApiToken, User
from codec.tokens import Wish, make_token, revoke_token
from keys.models import AuditRecord
from keys.rotation import create_namespace
from tests.conftest import OPERATOR, PLAIN, UI_ORIGIN, CodecClient

WHY = {"actor": OPERATOR, "reason": "test"}
MAKE_A_NEW_ONE = "Make a new one at http://localhost:8888/tokens/."


def token_for(user: User, **wish) -> str:
    wish = {"name": "test", "days": 30, "decode": True, "encode": True} | wish
    return make_token(user, Wish(**wish), actor=OPERATOR)[1].reveal


def call(path: str, token: str, body=None, **headers):
    """Call as the CLI does: without a cookie and without an Origin."""
    return CodecClient().call(path, body, **{"authorization": f"Bearer {token}", "origin": None} | headers)


def counted_reasons() -> list[tuple[str, str]]:
    """Return reason and credential of each refusal that is counted."""
    refusals.flush()
    records = AuditRecord.objects.filter(action="request:refused").order_by("id")
    return [(record.reason, record.credential) for record in records]


@pytest.fixture
def token(alice, granted, canary_key) -> str:
    """alice's, for everything that she may."""
    return token_for(alice)


@pytest.fixture
def row(token) -> ApiToken:
    return ApiToken.objects.get()


# What it opens --------------------------------------------------------------------------------------------------------


def test_token_encodes_and_decodes(token):
    encoded = call("/encode", token, {"payloads": [PLAIN]}).json()
    assert call("/decode", token, encoded).json() == {"payloads": [PLAIN]}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_case_of_the_scheme_does_not_matter(token, scheme):
    assert call("/decode", token, authorization=f"{scheme} {token}").status_code == 200


def test_token_from_a_configured_origin_is_accepted(token):
    assert call("/decode", token, origin=UI_ORIGIN).status_code == 200


def test_namespace_may_stand_in_the_path(token):
    assert call("/payments/decode", token, namespace=None).status_code == 200


def test_decode_is_recorded_with_the_owner_and_a_name_for_the_token(token, row, alice):
    call("/decode", token)
    record = AuditRecord.objects.get(action="payload:decoded")
    assert (record.actor_id, record.actor_name, record.credential) == (str(alice.pk), "alice", f"token {row.label}")


def test_use_is_noted(token, row):
    call("/decode", token)
    row.refresh_from_db()
    assert timezone.now() - row.last_used_at < timedelta(minutes=1)


def test_refused_use_is_not_noted(token, row):
    revoke_token(row, **WHY)
    call("/decode", token)
    row.refresh_from_db()
    assert row.last_used_at is None


def test_token_makes_no_session(token):
    assert not call("/decode", token).cookies


@pytest.mark.parametrize("page", ["/", "/tokens/", "/admin/"])
def test_token_opens_no_page(token, page):
    answer = CodecClient().get(page, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


# How far it reaches: never further than its owner now, nor than its own limits ----------------------------------------


@pytest.mark.parametrize("path", ["/decode", "/encode"])
def test_owner_without_a_grant_is_403(mallory, canary_key, path):
    assert call(path, token_for(mallory)).status_code == 403


@pytest.mark.parametrize("path", ["/decode", "/encode"])
def test_owner_who_is_superuser_without_a_grant_is_403(bob, canary_key, path):
    assert call(path, token_for(bob)).status_code == 403


def test_grant_revoked_is_403_at_the_next_request(token, alice):
    assert call("/decode", token).status_code == 200
    revoke_grant(grants_in_force(alice).get(), **WHY)
    assert call("/decode", token).status_code == 403


def test_grant_given_later_counts(mallory, payments, canary_key):
    token = token_for(mallory)
    give_grant(mallory, payments, decode=True, **WHY)
    assert call("/decode", token).status_code == 200


@pytest.mark.parametrize(("verb", "status"), [("/decode", 200), ("/encode", 403)])
def test_verb_the_owner_lacks_is_403_though_the_token_names_it(mallory, payments, canary_key, verb, status):
    give_grant(mallory, payments, decode=True, **WHY)
    assert call(verb, token_for(mallory)).status_code == status


@pytest.mark.parametrize(("verb", "other"), [("decode", "encode"), ("encode", "decode")])
def test_verb_the_token_lacks_is_403_though_the_owner_has_it(alice, granted, canary_key, verb, other):
    token = token_for(alice, **{"decode": False, "encode": False, verb: True})
    assert call(f"/{verb}", token).status_code == 200
    assert call(f"/{other}", token).status_code == 403
    assert AuditRecord.objects.latest("id").reason == "beyond_token_limits"


@pytest.fixture
def refunds(alice, granted):
    """A second namespace that alice may use."""
    namespace = create_namespace("refunds", actor=OPERATOR)
    give_grant(alice, namespace, decode=True, encode=True, **WHY)
    return namespace


@pytest.mark.parametrize("path", ["/decode", "/encode"])
def test_namespace_the_token_lacks_is_403_though_the_owner_has_it(alice, payments, refunds, canary_key, path):
    token = token_for(alice, namespaces=[payments])
    assert call(path, token, namespace="payments").status_code == 200
    assert call(path, token, namespace="refunds").status_code == 403


def test_namespace_taken_from_the_token_is_403_at_the_next_request(alice, payments, canary_key, granted):
    token = token_for(alice, namespaces=[payments])
    assert call("/decode", token).status_code == 200
    ApiToken.objects.get().namespaces.clear()
    assert call("/decode", token).status_code == 403


def test_token_without_namespaces_reaches_none(alice, payments, canary_key, granted):
    token_for(alice, namespaces=[payments])
    row = ApiToken.objects.get()
    row.namespaces.clear()
    assert api_token.limits(row) == frozenset()


def test_limits_name_every_pair(alice, payments, refunds):
    token_for(alice, namespaces=[payments, refunds])
    pairs = {(name, verb) for name in ("payments", "refunds") for verb in ("decode", "encode")}
    assert api_token.limits(ApiToken.objects.get()) == {Right(*pair) for pair in pairs}


def test_limits_of_a_token_for_every_namespace(alice):
    token_for(alice, encode=False)
    assert api_token.limits(ApiToken.objects.get()) == {Right(None, "decode")}


def test_token_does_not_download(token):
    assert call("/download", token).status_code in {403, 404}


def test_retired_namespace_is_403(token, payments):
    payments.retired_at = timezone.now()
    payments.save()
    assert call("/decode", token).status_code == 403


def test_namespace_that_does_not_exist_is_the_same_403(token):
    assert call("/decode", token, namespace="nowhere").json()["code"] == "not_allowed"


# Refused --------------------------------------------------------------------------------------------------------------


def disable_owner(row: ApiToken) -> None:
    row.user.is_active = False
    row.user.save()


REFUSED = {
    "revoked": (
        lambda row: revoke_token(row, **WHY),
        "token_revoked",
        f"This token was revoked. {MAKE_A_NEW_ONE}",
    ),
    "expired": (
        lambda row: ApiToken.objects.update(expires_at=timezone.now()),
        "token_expired",
        f"This token has expired. {MAKE_A_NEW_ONE}",
    ),
    "owner disabled": (
        disable_owner,
        "owner_disabled",
        "The account that this token belongs to is disabled.",
    ),
}


@pytest.mark.parametrize("path", ["/decode", "/encode", "/download"])
@pytest.mark.parametrize(("end", "reason", "sentence"), REFUSED.values(), ids=REFUSED)
def test_ended_token_is_401_at_the_next_request(token, row, end, reason, sentence, path):
    assert call("/decode", token).status_code == 200
    end(row)
    answer = call(path, token)
    assert (answer.status_code, answer.json()["detail"]) == (401, sentence)
    assert counted_reasons() == [(reason, f"token {row.label}")]


def test_unknown_token_is_401(token, row):
    row.delete()
    answer = call("/decode", token)
    assert answer.json()["detail"] == f"This server does not know this token. {MAKE_A_NEW_ONE}"
    assert counted_reasons() == [("token_unknown", "")]


def test_mistyped_token_is_401_and_asks_no_database_for_it(token, django_assert_num_queries):
    with django_assert_num_queries(1):  # the policy epoch
        answer = call("/decode", f"{token[:-1]}_")
    assert answer.status_code == 401
    assert counted_reasons() == [("token_malformed", "")]


def test_mistyped_token_is_told_so(token):
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert call("/decode", wrong).json()["detail"] == "This token is incomplete or mistyped. Copy it again, all of it."


def test_token_without_bearer_is_told_how(token):
    answer = call("/decode", token, authorization=token)
    assert answer.json()["detail"] == 'Write the word Bearer before the token: "Bearer tcs_…".'
    assert counted_reasons() == [("token_without_bearer", "")]


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer  {}",
        "Bearer\t{}",
        "Bearer {} ",
        "Bearer {}x",
        "Bearer {}, Bearer {}",
        "Bearer x, Bearer {}",
        "Basic {}",
        "Token {}",
        "Bearer",
        "Bearer tcs_",
        " ",
    ],
)
def test_header_that_is_not_one_bearer_token_is_401(token, authorization):
    assert call("/decode", token, authorization=authorization.replace("{}", token)).status_code == 401


def test_token_in_authorization_extras_is_401(token):
    answer = CodecClient().call("/decode", authorization_extras=token, origin=None)
    assert answer.status_code == 401


@pytest.mark.parametrize("header", ["Cookie", "X-Api-Key", "X-Authorization"])
def test_token_in_another_header_is_no_credential(token, header):
    answer = CodecClient().call("/decode", **{header.replace("-", "_"): token})
    assert answer.status_code == 401


def test_token_in_the_query_is_no_credential(token):
    assert CodecClient().call(f"/decode?access_token={token}").status_code == 401


def test_digest_is_no_token(token, row):
    assert call("/decode", row.digest).status_code == 401
    assert call("/decode", f"tcs_{row.digest[:49]}").status_code == 401


def test_bad_token_beside_a_good_session_is_401(browser, token, row):
    revoke_token(row, **WHY)
    assert browser.call("/decode", authorization=f"Bearer {token}").status_code == 401


def test_good_token_beside_a_session_of_somebody_else_counts_alone(mallorys_browser, token, row):
    answer = mallorys_browser.call("/decode", authorization=f"Bearer {token}")
    assert answer.status_code == 200
    assert AuditRecord.objects.get(action="payload:decoded").credential == f"token {row.label}"


def test_refusal_names_the_ways_in(token, row):
    revoke_token(row, **WHY)
    challenge = call("/decode", token)["WWW-Authenticate"]
    assert 'Bearer error="invalid_token"' in challenge
    assert "/login/" in challenge


def test_token_shows_in_no_answer_and_no_record(token, row):
    answers = [call("/decode", token, body=b"{"), call("/decode", token, namespace="nowhere")]
    revoke_token(row, **WHY)
    answers.append(call("/decode", token))
    said = b"".join(answer.content for answer in answers) + repr(list(AuditRecord.objects.values())).encode()
    assert token.encode() not in said
    assert row.digest.encode() not in said


def test_unwritable_audit_is_503_and_nothing_leaves(token, encoded, audit_unwritable):
    assert call("/decode", token, {"payloads": [encoded]}).status_code == 503
