"""Log lines: one JSON object each, with nothing in it that was not chosen."""

import json
import logging
import sys

import pytest
from django.conf import settings

from codecsite import logs
from codecsite.logs import JsonLines
from tests import canary


def line(message: str = "Hello %s", *args: object, **extra: object) -> dict[str, str]:
    """Log and return what is written."""
    record = logging.LogRecord("codec", logging.WARNING, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    written = JsonLines().format(record)
    assert "\n" not in written
    return json.loads(written)


@pytest.fixture
def in_request():
    token = logs.request_id.set("r1")
    yield
    logs.request_id.reset(token)


@pytest.fixture
def outside_of_requests():
    token = logs.request_id.set("")
    yield
    logs.request_id.reset(token)


def test_line_has_time_level_logger_and_message(outside_of_requests):
    written = line("Hello %s", "alice")
    assert written.keys() == {"time", "level", "logger", "message"}
    assert (written["level"], written["logger"], written["message"]) == ("WARNING", "codec", "Hello alice")
    assert written["time"].endswith("+00:00")


def test_line_of_a_request_has_its_id(in_request):
    assert line("Hello")["request_id"] == "r1"


@pytest.mark.parametrize("name", ["request", "sql", "params", "headers", "body", "status_code"])
def test_what_hangs_on_a_record_is_dropped(name):
    assert canary.PASSWORD not in json.dumps(line("Hello", **{name: canary.PASSWORD}))


@pytest.mark.parametrize("text", ["a\nb", 'a"}\n{"level": "ERROR"', "a\r\nb", "a\x1b[31mb", "a\u2028b", "\ud800"])
def test_text_cannot_make_a_line_of_its_own(text):
    assert line("%s", text)["message"] == text


def test_exception_is_part_of_its_line():
    try:
        raise ValueError("broken")
    except ValueError:
        written = line("Oh", exc_info=sys.exc_info())
    assert written["exception"].endswith("ValueError: broken")


def test_local_variables_of_an_exception_are_not_shown():
    secret = canary.PASSWORD
    try:
        raise ValueError(len(secret))
    except ValueError:
        assert canary.PASSWORD not in json.dumps(line("Oh", exc_info=sys.exc_info()))


def test_statements_with_their_values_are_never_logged():
    assert settings.LOGGING["loggers"]["django.db.backends"] == {"level": "WARNING"}


def test_access_lines_with_their_query_strings_are_never_logged():
    assert settings.LOGGING["loggers"]["uvicorn.access"] == {"handlers": [], "propagate": False}
