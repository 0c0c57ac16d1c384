import pytest

from codec.return_to import safe_target
from tests.conftest import UI_ORIGIN

REFUSED = [
    "",
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    f"{UI_ORIGIN}.evil.example/",
    "http://localhost:8080@evil.example/",
    "http://user@localhost:8080/",
    "http://LOCALHOST:8080/",
    "https://localhost:8080/",
    "http://localhost:80801/",
    " http://localhost:8080/",
    "http://localhost:8080/\r\nSet-Cookie: a=b",
    "http://localhost:8080/\x00",
    "http://[::1",
    "relative",
    "?next=/",
]


@pytest.mark.parametrize("target", REFUSED)
def test_target_elsewhere_is_refused(target):
    assert safe_target(target) is None


@pytest.mark.parametrize(
    "target", ["/", "/admin/", "/admin/?a=b&c=d", UI_ORIGIN + "/", UI_ORIGIN + "/namespaces/a/workflows/b%2Fc?q=1"]
)
def test_own_path_and_ui_origin_are_kept(target):
    assert safe_target(target) == target


def test_bare_origin_gets_a_path():
    assert safe_target(UI_ORIGIN) == UI_ORIGIN + "/"


def test_path_never_becomes_a_host():
    assert safe_target("http://localhost:8080//evil.example") == "http://localhost:8080/evil.example"
