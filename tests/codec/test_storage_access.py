"""A browser that sends no cookies across sites is noticed, counted, and told what helps on the sign-in page."""

import pytest
from django.test import Client

from codec import refusals, storage_access
from keys.models import AuditRecord
from tests.conftest import UI_ORIGIN, CodecClient, signed_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"
EXPLANATION = "This browser does not send cookies to this server from Temporal's site"
UI_PAGE = f"{UI_ORIGIN}/namespaces/payments/workflows"


def refuse(access: str | None = "none", client: CodecClient | None = None, **headers: str | None):
    """Ask without a cookie, as a page of Temporal in such a browser does."""
    sent = {"sec_fetch_storage_access": access, "user_agent": FIREFOX} | headers
    return (client or CodecClient()).call("/decode", **sent)


def sign_in_page(client: Client | None = None, agent: str = FIREFOX) -> str:
    return (client or Client()).get("/login/", {"next": UI_PAGE}, headers={"User-Agent": agent}).content.decode()


def counted() -> list[str]:
    refusals.flush()
    return [record.reason for record in AuditRecord.objects.filter(action="request:refused")]


def test_blocked_cookie_is_401_and_counted_as_such(db):
    assert refuse().status_code == 401
    assert counted() == ["cookies_blocked"]


@pytest.mark.parametrize("access", [None, "active", "inactive", "", "None", "nonsense"])
def test_other_values_are_nothing_special(db, access):
    refuse(access)
    assert counted() == ["no_credential"]
    assert EXPLANATION not in sign_in_page()


def test_request_with_a_token_is_nothing_special(db):
    refuse(authorization="Bearer x")
    assert counted() == ["token_malformed"]
    assert EXPLANATION not in sign_in_page()


def test_request_that_is_let_in_is_not_noticed(browser):
    assert refuse(client=browser).status_code == 200
    assert EXPLANATION not in sign_in_page()


def test_page_of_a_foreign_origin_is_not_noticed(db):
    refuse(origin="https://evil.example")
    assert EXPLANATION not in sign_in_page()


def test_sign_in_page_explains(db):
    refuse()
    page = sign_in_page()
    assert EXPLANATION in page
    assert "What helps" in page
    assert 'name="username"' in page


def test_sign_in_page_says_nothing_without_a_reason(db):
    assert EXPLANATION not in sign_in_page()


def test_other_browser_at_the_same_address_is_not_meant(db):
    refuse()
    assert EXPLANATION not in sign_in_page(agent=CHROME)


def test_same_browser_at_another_address_is_not_meant(db):
    refuse()
    assert EXPLANATION not in sign_in_page(Client(REMOTE_ADDR="192.0.2.7"))


def test_notice_lasts_ten_minutes(db, monkeypatch):
    refuse()
    now = storage_access.time.monotonic()
    monkeypatch.setattr(storage_access.time, "monotonic", lambda: now + 590)
    assert EXPLANATION in sign_in_page()
    monkeypatch.setattr(storage_access.time, "monotonic", lambda: now + 601)
    assert EXPLANATION not in sign_in_page()


def test_flood_of_browsers_costs_no_memory(db, monkeypatch):
    monkeypatch.setattr(storage_access, "_MOST", 3)
    for number in range(10):
        refuse(user_agent=f"browser {number}")
    assert len(storage_access._noticed) == 3
    assert EXPLANATION in sign_in_page(agent="browser 9")


def test_long_browser_name_costs_no_memory(db):
    refuse(user_agent="x" * 10_000)
    (key,) = storage_access._noticed
    assert max(map(len, key)) <= 256


def test_person_who_is_signed_in_is_told_instead_of_sent_in_circles(browser):
    refuse()
    page = sign_in_page(browser)
    assert EXPLANATION in page
    assert f'href="{UI_PAGE}"' in page
    assert 'name="password"' not in page


def test_person_who_is_signed_in_is_sent_back_at_once_otherwise(alice, granted):
    answer = signed_in(alice).get("/login/", {"next": UI_PAGE})
    assert answer["Location"] == UI_PAGE


def test_hostile_browser_name_shows_nowhere(db):
    refuse(user_agent="<script>alert(1)</script>")
    assert "alert(1)" not in sign_in_page(agent="<script>alert(1)</script>")
