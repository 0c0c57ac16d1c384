"""Each thing that can be wrong, alone, and the cause that is named for it."""

from dataclasses import replace

import pytest

from codec.authorization import Verb
from codec.diagnosis import FAILS_AT, Cause, Server, Viewer, diagnose, near_origin
from codec.explanations import _TEXTS, _WITHOUT_REQUEST, explain
from codec.observations import Facts, Seen

NOW = 1_000_000.0
UI = "https://temporal.example.com"
SERVER = Server(
    public_url="https://codec.example.com",
    ui_origins=(UI, "http://localhost:8080"),
    allowed_headers=frozenset({"content-type", "x-namespace", "authorization"}),
    cross_site_cookies=False,
    takes_tokens=True,
)
LOCAL = replace(SERVER, public_url="http://localhost:8888")
RIGHTS = {("payments", Verb.DECODE)}
ALICE = Viewer(signed_in_at=NOW - 600, may=lambda namespace, verb: (namespace, verb) in RIGHTS)
STRANGER = replace(ALICE, may=lambda namespace, verb: False)
GOOD = Facts(
    origin=UI,
    site="same-site",
    storage_access="",
    namespace="payments",
    asked_headers="",
    preflight=False,
    verb="decode",
    path="",
    secure=True,
    cookie=True,
    credential="session",
    status=200,
    reason="",
)
PREFLIGHT = GOOD._replace(
    preflight=True, asked_headers="content-type,x-namespace", cookie=False, credential="", namespace=""
)
ANONYMOUS = GOOD._replace(cookie=False, credential="", status=401, reason="no_credential")
TOKEN = GOOD._replace(credential="Authorization", status=401, reason="token_expired")
DENIED = GOOD._replace(status=403, reason="not_allowed")

CASES = [
    (Cause.WORKS, GOOD, {}),
    (Cause.WORKS, GOOD._replace(credential="jwt"), {"viewer": STRANGER}),
    (Cause.WRONG_PATH, PREFLIGHT._replace(verb="", path="/decod"), {}),
    (Cause.WRONG_PATH, PREFLIGHT._replace(verb="", path="/decod", origin="https://evil.example"), {}),
    (Cause.ORIGIN_NOT_ALLOWED, PREFLIGHT._replace(origin="https://evil.example"), {}),
    (Cause.ORIGIN_NOT_ALLOWED, PREFLIGHT._replace(origin="null"), {}),
    (Cause.ORIGIN_NOT_ALLOWED, ANONYMOUS._replace(status=403, reason="origin_refused"), {}),
    (Cause.HEADER_NOT_ALLOWED, PREFLIGHT._replace(asked_headers="content-type, x-trace"), {}),
    (Cause.PLAIN_HTTP, PREFLIGHT._replace(secure=False), {}),
    (Cause.PLAIN_HTTP, ANONYMOUS._replace(status=403, reason="https_required"), {}),
    (Cause.NOTHING_FOLLOWED, PREFLIGHT, {}),
    (Cause.UNDER_WAY, PREFLIGHT, {"last": NOW - 1}),
    (Cause.NO_NAMESPACE, ANONYMOUS._replace(namespace="undefined", status=400, reason="namespace_missing"), {}),
    (
        Cause.COOKIES_BLOCKED,
        ANONYMOUS._replace(site="cross-site", storage_access="none"),
        {"server": replace(SERVER, cross_site_cookies=True)},
    ),
    (
        Cause.COOKIES_BLOCKED,
        ANONYMOUS._replace(site="cross-site", storage_access="inactive"),
        {"server": replace(SERVER, cross_site_cookies=True)},
    ),
    (Cause.COOKIE_STAYS_ON_ITS_SITE, ANONYMOUS._replace(site="cross-site", storage_access="none"), {}),
    (Cause.COOKIE_STAYS_ON_ITS_SITE, ANONYMOUS._replace(site="cross-site", storage_access="active"), {}),
    (Cause.COOKIE_STAYS_ON_ITS_SITE, ANONYMOUS._replace(site="cross-site"), {}),
    (Cause.CREDENTIALS_OFF, ANONYMOUS, {}),
    (
        Cause.CREDENTIALS_OFF,
        ANONYMOUS._replace(site="cross-site"),
        {"server": replace(SERVER, cross_site_cookies=True)},
    ),
    (Cause.NOT_SIGNED_IN_THEN, ANONYMOUS, {"last": NOW - 700}),
    (Cause.SESSION_ENDED, GOOD._replace(status=401, reason="session_ended"), {}),
    (Cause.TOKEN_REFUSED, TOKEN, {}),
    (Cause.TOKEN_REFUSED, TOKEN._replace(status=503, reason="token_keys_unavailable"), {}),
    (Cause.TOKENS_NOT_ACCEPTED, TOKEN, {"server": replace(SERVER, takes_tokens=False)}),
    (Cause.NO_GRANT, DENIED, {"viewer": STRANGER}),
    (Cause.NO_GRANT, DENIED._replace(verb="encode"), {}),
    (Cause.NO_GRANT, GOOD, {"viewer": STRANGER}),  # where a denied decode returns the payloads as they came
    (Cause.GRANTED_SINCE, DENIED, {}),
    (Cause.TOKEN_LIMITED, DENIED._replace(credential="token"), {}),
    (Cause.UNDECODABLE, GOOD._replace(status=400, reason="undecodable"), {}),
    (Cause.REFUSED, GOOD._replace(status=429, reason="rate_limited"), {}),
    (Cause.REFUSED, GOOD._replace(status=503, reason="unavailable"), {}),
    (Cause.REFUSED, GOOD._replace(verb="download", status=404, reason="no_storage"), {}),
]


def cause_of(*facts, last=NOW - 60, viewer=ALICE, server=SERVER, others=False):
    """What is named when these came one after the other, the last of them at `last`."""
    seen = [Seen(each, 1, last - 60 * age) for age, each in enumerate(reversed(facts))]
    return diagnose(seen, viewer=viewer, server=server, others=others, now=NOW).cause


@pytest.mark.parametrize(("cause", "facts", "situation"), CASES)
def test_cause_is_named(cause, facts, situation):
    assert cause_of(facts, **situation) is cause


@pytest.mark.parametrize(("others", "cause"), [(False, Cause.NOTHING_ARRIVED), (True, Cause.ANOTHER_ACCOUNT)])
def test_without_a_request(others, cause):
    assert cause_of(others=others) is cause


def test_newest_counts():
    assert cause_of(ANONYMOUS, GOOD) is Cause.WORKS


def test_of_one_page_load_what_failed_counts():
    broken = Seen(GOOD._replace(status=400, reason="undecodable"), 1, NOW - 61)
    seen = [Seen(GOOD, 20, NOW - 60), broken]
    assert diagnose(seen, viewer=ALICE, server=SERVER, others=False, now=NOW).seen is broken


def test_without_the_cookie_of_a_session_that_has_ended_the_end_is_named():
    ended = GOOD._replace(status=401, reason="session_ended")
    assert cause_of(ended, ANONYMOUS, last=NOW - 700) is Cause.SESSION_ENDED


def test_preflight_beside_its_request_is_not_waited_for():
    seen = [Seen(PREFLIGHT, 1, NOW - 60), Seen(DENIED, 1, NOW - 60.5)]
    assert diagnose(seen, viewer=STRANGER, server=SERVER, others=False, now=NOW).cause is Cause.NO_GRANT


def test_plain_http_is_right_for_a_server_on_this_machine():
    assert cause_of(PREFLIGHT._replace(secure=False, origin="http://localhost:8080"), server=LOCAL) is (
        Cause.NOTHING_FOLLOWED
    )


@pytest.mark.parametrize(
    ("origin", "near"),
    [
        ("http://127.0.0.1:8080", "http://localhost:8080"),
        ("http://temporal.example.com", UI),
        ("https://temporal.example.com.evil.example", None),
        ("https://evil.example", None),
        ("null", None),
        ("https://[::1", None),
        ("https://x:99999", None),
    ],
)
def test_near_origin(origin, near):
    assert near_origin(origin, SERVER.ui_origins) == near


# Sentences ------------------------------------------------------------------------------------------------------------


def explained(facts, **situation):
    seen = [Seen(facts, 1, situation.pop("last", NOW - 60))]
    chosen = {"viewer": ALICE, "server": SERVER} | situation
    return explain(diagnose(seen, others=False, now=NOW, **chosen), chosen["server"])


def test_every_cause_is_explained_and_has_its_place():
    assert {*_TEXTS, *_WITHOUT_REQUEST} == set(Cause)
    assert {*FAILS_AT, Cause.WORKS} == set(Cause)


@pytest.mark.parametrize(("cause", "facts", "situation"), CASES)
def test_explanation_is_whole(cause, facts, situation):
    said = explained(facts, **situation)
    for sentence in (said.title, said.why, said.remedy):
        assert sentence.strip()
        assert not set("{}") & set(sentence)


def test_braces_in_what_came_are_shown_as_they_are():
    assert "{public_url}" in explained(PREFLIGHT._replace(origin="{public_url}")).title


def test_wrong_name_of_the_web_ui_is_told_the_right_one():
    assert "http://localhost:8080" in explained(PREFLIGHT._replace(origin="http://127.0.0.1:8080")).remedy


def test_unknown_origin_is_named_for_the_operator():
    said = explained(PREFLIGHT._replace(origin="https://ui.example"))
    assert "https://ui.example" in said.remedy
    assert "CODEC_UI_ORIGINS" in said.remedy


def test_other_name_of_this_machine_is_explained():
    facts = ANONYMOUS._replace(origin="http://127.0.0.1:8080", site="cross-site")
    server = replace(LOCAL, ui_origins=("http://127.0.0.1:8080",))
    assert "localhost" in explained(facts, server=server).remedy


@pytest.mark.parametrize("reason", ["token_expired", "token_audience", "token_unknown_user", "token_signature"])
def test_fault_of_a_token_is_said(reason):
    said = explained(TOKEN._replace(reason=reason))
    assert "Authorization" in said.why
    assert said.remedy
