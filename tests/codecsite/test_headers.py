"""What every answer tells the browser, and what another site's page cannot request."""

import pytest
from django.conf import settings

from tests.conftest import CodecClient

PAGES = ["/login/", "/healthz", "/nowhere", "/admin/"]


@pytest.fixture
def visitor(db) -> CodecClient:
    return CodecClient()


def fetch(site: str, mode: str = "navigate", dest: str = "document") -> dict[str, str]:
    """Return what a browser says about a request."""
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


# Headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/decode"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ],
)
def test_every_answer_has_the_header(visitor, path, name, value):
    assert visitor.get(path)[name] == value


@pytest.mark.parametrize("path", ["/login/", "/healthz", "/admin/"])
def test_page_runs_no_script_from_elsewhere_and_is_not_framed(visitor, path):
    policy = visitor.get(path)["Content-Security-Policy"].split("; ")
    assert {"default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= {*policy}
    assert not any("unsafe" in rule or "*" in rule for rule in policy)


def test_form_may_lead_back_to_the_configured_uis_alone(visitor):
    policy = visitor.get("/login/")["Content-Security-Policy"]
    assert f"form-action 'self' {' '.join(settings.CODEC_UI_ORIGINS)}" in policy.split("; ")


def test_answer_of_the_protocol_is_not_rendered_at_all(visitor):
    assert visitor.get("/decode")["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("path", PAGES)
def test_page_is_kept_from_other_origins(visitor, path):
    assert visitor.get(path)["Cross-Origin-Resource-Policy"] == "same-origin"


def test_answer_of_the_protocol_is_left_to_cors(visitor):
    assert "Cross-Origin-Resource-Policy" not in visitor.get("/decode")


def test_https_is_told_to_be_kept(visitor, settings):
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    told = visitor.get("/nowhere", secure=True)["Strict-Transport-Security"]
    assert told == "max-age=31536000; includeSubDomains; preload"


@pytest.mark.parametrize("path", ["/login/", "/decode"])
def test_unknown_host_is_refused(visitor, path):
    assert visitor.get(path, headers={"Host": "evil.example"}).status_code == 400


# Isolation ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
def test_followed_link_is_answered(visitor, site):
    assert visitor.get("/login/", headers=fetch(site)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [
        ("cors", "empty"),
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("navigate", "iframe"),
        ("navigate", "object"),
        ("websocket", "websocket"),
        ("", ""),
    ],
)
def test_other_request_of_another_site_is_refused(visitor, site, mode, dest):
    assert visitor.get("/healthz", headers=fetch(site, mode, dest)).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/login/", "/logout/", "/admin/"])
def test_form_of_another_site_is_refused(visitor, site, path):
    assert visitor.post(path, headers=fetch(site)).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_page_may_request_anything(visitor, site):
    assert visitor.get("/healthz", headers=fetch(site, "cors", "empty")).status_code == 200


def test_client_that_says_nothing_is_answered(visitor):
    assert visitor.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/decode", "/a/b/encode", "/payments/download"])
def test_protocol_has_rules_of_its_own(visitor, path):
    assert visitor.call(path, **fetch("cross-site", "cors", "empty")).status_code == 401


def test_refusal_is_a_page_for_people(visitor):
    refused = visitor.get("/login/", headers={**fetch("cross-site", "navigate", "iframe"), "Accept": "text/html"})
    assert refused.status_code == 403
    assert refused["Content-Type"].startswith("text/html")
