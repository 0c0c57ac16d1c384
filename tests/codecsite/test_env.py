"""Reading the environment: what is accepted, and refusals that name the variable and never show its value."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from codecsite.env import (
    check_origin,
    envbool,
    envchoice,
    envint,
    envlist,
    envport,
    envsecret,
    envstr,
    is_loopback_url,
)
from tests import canary


@pytest.fixture
def setting(monkeypatch):
    """Return a function that sets the variable SETTING."""
    return lambda value: monkeypatch.setenv("SETTING", value)


@pytest.fixture
def secret_file(monkeypatch, tmp_path):
    """Return a function that writes a file and names it in SETTING_FILE."""

    def write(content: bytes) -> None:
        (tmp_path / "secret").write_bytes(content)
        monkeypatch.setenv("SETTING_FILE", str(tmp_path / "secret"))

    return write


# Text, numbers, switches ----------------------------------------------------------------------------------------------


def test_unset_variable_has_its_default():
    assert envstr("SETTING", "default") == "default"


@pytest.mark.parametrize(("value", "read"), [("", "default"), ("  ", "default"), (" a b ", "a b")])
def test_text_is_stripped_and_blank_is_unset(setting, value, read):
    setting(value)
    assert envstr("SETTING", "default") == read


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "Yes", "on", " 1 "])
def test_switch_is_on(setting, value):
    setting(value)
    assert envbool("SETTING") is True


@pytest.mark.parametrize("value", ["0", "false", "No", "off"])
def test_switch_is_off(setting, value):
    setting(value)
    assert envbool("SETTING", default=True) is False


@pytest.mark.parametrize("default", [True, False])
def test_blank_switch_has_its_default(setting, default):
    setting(" ")
    assert envbool("SETTING", default) is default


@pytest.mark.parametrize("value", ["2", "yess", "enabled", "-1", "oui"])
def test_switch_that_is_neither_is_refused(setting, value):
    setting(value)
    with pytest.raises(ImproperlyConfigured, match=r"^SETTING must be 1 or 0\.$"):
        envbool("SETTING")


@pytest.mark.parametrize(("value", "number"), [("7", 7), (" 7 ", 7), ("007", 7), ("999999999999999", 999999999999999)])
def test_whole_number_is_read(setting, value, number):
    setting(value)
    assert envint("SETTING", 1) == number


@pytest.mark.parametrize("value", ["-1", "+1", "1.0", "1e3", "0x10", "1_000", "٣", "²", "seven", "1 2", "9" * 5000])
def test_other_number_is_refused(setting, value):
    setting(value)
    with pytest.raises(ImproperlyConfigured, match=r"^SETTING must be a whole number of at least 0\.$"):
        envint("SETTING", 1)


def test_number_below_its_minimum_is_refused(setting):
    setting("59")
    with pytest.raises(ImproperlyConfigured, match="at least 60"):
        envint("SETTING", 90, minimum=60)


def test_highest_port_is_read(setting):
    setting("65535")
    assert envport("SETTING", 8888) == 65535


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1"])
def test_port_that_is_none_is_refused(setting, value):
    setting(value)
    with pytest.raises(ImproperlyConfigured, match=r"^SETTING must be "):
        envport("SETTING", 8888)


def test_choice_is_read(setting):
    setting("b")
    assert envchoice("SETTING", "a", ("a", "b")) == "b"


def test_choice_that_is_not_on_offer_is_refused(setting):
    setting("B")
    with pytest.raises(ImproperlyConfigured, match=r"^SETTING must be one of a, b\.$"):
        envchoice("SETTING", "a", ("a", "b"))


def test_unset_list_has_its_default():
    assert envlist("SETTING", ("a", "b")) == ["a", "b"]


@pytest.mark.parametrize(("value", "items"), [("", []), (" , ", []), ("a", ["a"]), (" a ,, b ", ["a", "b"])])
def test_list_is_split_at_commas_without_blanks(setting, value, items):
    setting(value)
    assert envlist("SETTING", ("default",)) == items


# Secrets --------------------------------------------------------------------------------------------------------------


def test_unset_secret_is_none():
    assert envsecret("SETTING") is None


def test_secret_is_read_from_its_variable(setting):
    setting(canary.PASSWORD)
    assert envsecret("SETTING") == canary.PASSWORD


def test_secret_is_read_from_its_file_without_the_line_end(secret_file):
    secret_file(b"postgresql://host/db\n")
    assert envsecret("SETTING") == "postgresql://host/db"


def test_secret_given_twice_is_refused(setting, secret_file):
    setting(canary.PASSWORD)
    secret_file(b"other")
    with pytest.raises(ImproperlyConfigured, match=r"^Set SETTING or SETTING_FILE, not both\.$"):
        envsecret("SETTING")


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n"])
def test_empty_secret_file_is_refused(secret_file, content):
    secret_file(content)
    with pytest.raises(ImproperlyConfigured, match=r"^The file that SETTING_FILE names is empty\.$"):
        envsecret("SETTING")


def test_secret_file_that_is_no_text_is_refused_without_showing_it(secret_file):
    secret_file(b"hidden\xff")
    with pytest.raises(ImproperlyConfigured, match=r"^SETTING_FILE cannot be read: UnicodeDecodeError\.$"):
        envsecret("SETTING")


@pytest.mark.parametrize(("path", "error"), [("/nowhere/secret", "FileNotFoundError"), ("/", "IsADirectoryError")])
def test_secret_file_that_cannot_be_read_is_refused(monkeypatch, path, error):
    monkeypatch.setenv("SETTING_FILE", path)
    with pytest.raises(ImproperlyConfigured, match=rf"^SETTING_FILE cannot be read: {error}\.$"):
        envsecret("SETTING")


# Origins --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://temporal.example.com",
        "https://cloud.temporal.io",
        "http://localhost:8080",
        "https://temporal.example.com:8443",
        "http://127.0.0.1:8233",
        "http://[::1]:8233",
        "https://xn--bcher-kva.example",
        "https://temporal_ui:8443",
        "http://localhost:443",
        "https://localhost:80",
        "https://localhost:65535",
    ],
)
def test_origin_as_browsers_write_it_is_accepted(origin):
    assert check_origin("SETTING", origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "temporal.example.com",
        "//temporal.example.com",
        "https://",
        "https://temporal.example.com/",
        "https://temporal.example.com/path",
        "https://temporal.example.com?query",
        "https://temporal.example.com#fragment",
        "https://Temporal.example.com",
        "HTTPS://temporal.example.com",
        "https://user@temporal.example.com",
        "https://user:password@temporal.example.com",
        "https://*.example.com",
        "https://.example.com",
        "https://example.com.",
        "https://a b",
        "https://a;script-src",
        "https://a,https://b",
        "https://bücher.example",
        "https://temporal.example.com:",
        "https://temporal.example.com:0",
        "https://temporal.example.com:443",
        "http://localhost:80",
        "https://temporal.example.com:65536",
        "https://temporal.example.com:port",
        "https://temporal.example.com\n",
        "ftp://temporal.example.com",
        "javascript://temporal.example.com",
    ],
)
def test_what_no_browser_sends_as_origin_is_refused(origin):
    with pytest.raises(ImproperlyConfigured, match=r"^SETTING must hold origins like https://"):
        check_origin("SETTING", origin)


@pytest.mark.parametrize("url", ["http://localhost:8888", "http://127.0.0.1", "https://localhost", "http://[::1]:8888"])
def test_url_of_this_machine_is_loopback(url):
    assert is_loopback_url(url)


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://localhost.example.com", "http://0.0.0.0", "http://10.0.0.1", "http://[::2]"]
)
def test_url_that_others_can_reach_is_not_loopback(url):
    assert not is_loopback_url(url)
