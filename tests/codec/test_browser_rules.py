"""What a page of another site can make a browser send, and what becomes of it."""

import pytest
from django.test import Client

from tests.conftest import UI_ORIGIN

BAD_MEDIA_TYPES = [
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain; application/json",
    "application/json, text/plain",
    "text/json",
    "application/json;charset=utf-7",
    "application/json;charset=utf-8;x=y",
    "application/json+x",
]
BAD_ORIGINS = [
    "null",
    "",
    "https://cloud.temporal.io.evil.com",
    "http://localhost:444",
    "https://localhost:8080",
    "http://LOCALHOST:8080",
    "http://localhost:8080/",
    "http://user@localhost:8080",
    "http://localhost:8080 ",
    "https://[::1",
    "http://evil.localhost:8080",
]


@pytest.mark.parametrize("media_type", BAD_MEDIA_TYPES)
def test_body_a_browser_sends_unasked_is_415(browser, media_type):
    assert browser.call("/decode", content_type=media_type).status_code == 415


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"],
)
def test_plain_json_is_accepted(browser, media_type):
    assert browser.call("/decode", content_type=media_type).status_code == 200


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_foreign_origin_is_403_and_gets_no_cors_header(browser, origin):
    answer = browser.call("/decode", origin=origin)
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["null", "https://cloud.temporal.io.evil.com", "http://localhost:444"])
def test_foreign_origin_cannot_read_the_answer(browser, origin):
    assert "Access-Control-Allow-Origin" not in browser.call("/decode", origin=origin)


def test_cookie_without_origin_is_403(browser):
    assert browser.call("/decode", origin=None).status_code == 403


def test_referer_is_no_substitute_for_origin(browser):
    assert browser.call("/decode", origin=None, referer=f"{UI_ORIGIN}/").status_code == 403


@pytest.mark.parametrize("mode", ["no-cors", "navigate", "same-origin", "websocket"])
def test_fetch_mode_other_than_cors_is_403(browser, mode):
    assert browser.call("/decode", sec_fetch_mode=mode).status_code == 403


def test_fetch_of_the_web_ui_passes(browser):
    fetch = {"sec_fetch_mode": "cors", "sec_fetch_site": "same-site", "sec_fetch_dest": "empty"}
    assert browser.call("/decode", **fetch).status_code == 200


@pytest.mark.parametrize("origin", [UI_ORIGIN, None])
def test_bad_bearer_is_401_however_good_the_cookie(browser, origin):
    assert browser.call("/decode", authorization="Bearer nonsense", origin=origin).status_code == 401


def test_id_token_alone_is_401_however_good_the_cookie(browser):
    assert browser.call("/decode", authorization_extras="nonsense").status_code == 401


def test_bearer_from_a_foreign_origin_is_403(browser):
    assert browser.call("/decode", authorization="Bearer x", origin="https://evil.example").status_code == 403


def test_no_session_is_401_with_cors_headers(payments):
    headers = {"Origin": UI_ORIGIN, "X-Namespace": "payments"}
    answer = Client().post("/decode", "{}", content_type="application/json", headers=headers)
    assert (answer.status_code, answer["Access-Control-Allow-Credentials"]) == (401, "true")


def test_plain_http_to_an_https_server_is_403_and_not_redirected(browser, settings):
    settings.HTTPS = True
    answer = browser.call("/decode")
    assert answer.status_code == 403
    assert "Location" not in answer


def preflight(
    origin: str, path: str = "/decode", headers: str = "authorization,authorization-extras,content-type,x-namespace"
):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers, "Origin": origin}
    return Client().options("/", headers=asked, PATH_INFO=path)


@pytest.mark.parametrize("path", ["/decode", "/encode", "/download", "//decode", "/a/b/decode"])
def test_preflight_of_the_web_ui_allows_everything_it_sends(path):
    answer = preflight(UI_ORIGIN, path)
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == UI_ORIGIN
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert answer["Access-Control-Allow-Headers"] == "content-type, x-namespace, authorization, authorization-extras"
    assert "POST" in answer["Access-Control-Allow-Methods"]
    assert answer["Access-Control-Max-Age"] == "600"


def test_preflight_of_another_origin_allows_nothing():
    assert "Access-Control-Allow-Origin" not in preflight("https://evil.example.net")


@pytest.mark.parametrize("path", ["/", "/login/", "/admin/", "/healthz"])
def test_pages_have_no_cors(path, db):
    assert "Access-Control-Allow-Origin" not in preflight(UI_ORIGIN, path)


@pytest.mark.parametrize(
    ("site", "mode", "destination"),
    [
        ("cross-site", "navigate", "iframe"),
        ("cross-site", "cors", "empty"),
        ("same-site", "no-cors", "image"),
        ("same-site", "navigate", "iframe"),
    ],
)
def test_admin_is_out_of_reach_of_other_sites(bobs_browser, site, mode, destination):
    fetch = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
    assert bobs_browser.get("/admin/", headers=fetch).status_code == 403


def test_form_post_of_another_site_is_403(bobs_browser):
    fetch = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert bobs_browser.post("/logout/", headers=fetch).status_code == 403


def test_link_of_another_site_opens_the_admin(bobs_browser):
    fetch = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert bobs_browser.get("/admin/", headers=fetch).status_code == 200
