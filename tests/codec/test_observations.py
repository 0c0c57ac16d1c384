"""What is kept of what browsers send, for how long, and who may see it."""

import pytest
from django.test import Client

from codec.observations import KEPT_SECONDS, Browser, Facts, Observations, observations
from tests import canary
from tests.conftest import PLAIN, UI_ORIGIN, CodecClient

HERE = Browser("192.0.2.1", "Firefox")
ALICE, BOB = 1, 2
FACTS = Facts(
    origin=UI_ORIGIN,
    site="same-site",
    storage_access="",
    namespace="payments",
    asked_headers="",
    preflight=False,
    verb="decode",
    path="",
    secure=False,
    cookie=True,
    credential="session",
    status=200,
    reason="",
)
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return Observations(clock=clock)


def last(user_id=0):
    """What the test client's browser sent last."""
    return observations.recall(Browser("127.0.0.1", ""), user_id)[0].facts


# The store ------------------------------------------------------------------------------------------------------------


def test_equal_requests_are_counted(store, clock):
    for _ in range(3):
        store.note(HERE, ALICE, FACTS)
        clock.now += 1
    assert store.recall(HERE, ALICE) == [(FACTS, 3, clock.now - 1)]


def test_newest_stands_first(store, clock):
    store.note(HERE, ALICE, FACTS)
    clock.now += 1
    store.note(HERE, None, FACTS._replace(status=401))
    clock.now += 1
    store.note(HERE, ALICE, FACTS._replace(verb="encode"))
    assert [each.facts.verb + str(each.facts.status) for each in store.recall(HERE, ALICE)] == [
        "encode200",
        "decode401",
        "decode200",
    ]


def test_after_fifteen_minutes_nothing_is_left(store, clock):
    store.note(HERE, ALICE, FACTS)
    clock.now += KEPT_SECONDS + 1
    assert store.recall(HERE, ALICE) == []


def test_old_browsers_are_forgotten_when_a_new_one_comes(store, clock):
    store.note(HERE, ALICE, FACTS)
    clock.now += KEPT_SECONDS + 1
    store.note(Browser("192.0.2.2", "Firefox"), ALICE, FACTS)
    assert list(store._browsers) == [Browser("192.0.2.2", "Firefox")]


@pytest.mark.parametrize("elsewhere", [Browser("192.0.2.2", "Firefox"), Browser("192.0.2.1", "Chrome")])
def test_another_browser_sees_nothing(store, elsewhere):
    store.note(HERE, None, FACTS)
    assert store.recall(elsewhere, ALICE) == []


def test_requests_of_somebody_else_are_not_shown(store):
    store.note(HERE, BOB, FACTS)
    assert store.recall(HERE, ALICE) == []


def test_that_somebody_else_was_there_is_said(store):
    store.note(HERE, BOB, FACTS)
    assert (store.others(HERE, ALICE), store.others(HERE, BOB)) == (True, False)


def test_a_request_of_nobody_known_is_not_somebody_elses(store):
    store.note(HERE, None, FACTS)
    assert not store.others(HERE, ALICE)


def test_flood_of_one_browser_keeps_the_newest_twelve(store, clock):
    for number in range(100):
        clock.now += 1
        store.note(HERE, ALICE, FACTS._replace(namespace=f"n{number}"))
    kept = store.recall(HERE, ALICE)
    assert [each.facts.namespace for each in kept] == [f"n{number}" for number in range(99, 87, -1)]


def test_flood_of_browsers_and_callers_is_bounded(store):
    for number in range(3000):
        store.note(Browser(f"2001:db8::{number}", "x"), None, FACTS)
    for number in range(100):
        store.note(HERE, number, FACTS)
    assert (len(store._browsers), len(store._browsers[HERE])) == (1000, 8)


def test_the_callers_own_requests_outlast_a_flood_of_others(store):
    store.note(HERE, ALICE, FACTS)
    for number in range(100):
        store.note(HERE, BOB, FACTS._replace(namespace=f"n{number}"))
    assert len(store.recall(HERE, ALICE)) == 1


# What is kept of requests ---------------------------------------------------------------------------------------------


def test_decode_is_kept_with_caller_and_status(browser, alice, encoded):
    browser.call("/decode", {"payloads": [encoded]}, sec_fetch_site="same-site")
    assert last(alice.pk) == FACTS


def test_request_without_a_cookie_is_kept_with_its_reason(db):
    call_as_nobody(sec_fetch_storage_access="none", sec_fetch_site="cross-site")
    facts = last()
    assert (facts.cookie, facts.credential, facts.status, facts.reason) == (False, "", 401, "cookies_blocked")
    assert (facts.site, facts.storage_access) == ("cross-site", "none")


def test_refused_origin_is_kept(db):
    call_as_nobody(origin="https://evil.example")
    assert (last().origin, last().reason) == ("https://evil.example", "origin_refused")


def test_preflight_is_kept_although_cors_answers_it(db):
    Client().options("/decode", headers={"Origin": "https://evil.example", **PREFLIGHT})
    assert (last().preflight, last().origin, last().status) == (True, "https://evil.example", 200)
    assert last().asked_headers == "content-type,x-namespace"


def test_preflight_for_a_wrong_path_is_kept_with_the_path(db):
    Client().options("/codec/decod", headers={"Origin": UI_ORIGIN, **PREFLIGHT})
    assert (last().verb, last().path) == ("", "/codec/decod")


@pytest.mark.parametrize("path", ["/login/", "/", "/healthz"])
def test_pages_are_not_kept(db, path):
    Client().get(path)
    assert observations.recall(Browser("127.0.0.1", ""), 0) == []


def test_denied_caller_learns_no_more_than_that(mallorys_browser, mallory):
    mallorys_browser.call("/decode", {"payloads": [PLAIN]})
    mallorys_browser.call("/decode", {"payloads": [PLAIN]}, namespace="nowhere")
    kept = observations.recall(Browser("127.0.0.1", ""), mallory.pk)
    assert {each.facts.reason for each in kept} == {"not_allowed"}


def test_no_credential_is_kept(browser, encoded):
    browser.call("/decode", {"payloads": [encoded]})
    browser.call("/decode", {"payloads": [encoded]}, authorization=f"Bearer {canary.PASSWORD}")
    browser.call("/decode?token=" + canary.PASSWORD, {"payloads": [PLAIN]}, authorization_extras=canary.PASSWORD)
    canary.check("the observations", repr(observations._browsers))


def test_long_headers_are_cut(db):
    call_as_nobody(origin="https://" + "x" * 5000, namespace="n" * 5000)
    assert (len(last().origin), len(last().namespace)) == (128, 128)


def call_as_nobody(**headers):
    return CodecClient().call("/decode", **headers)
