"""Logs as JSON lines on standard error. What is not on the short list of fields is never written.

A log record's arguments are formatted into `message`; the objects that Django hangs on a record
(`request`, `sql`, `params`) are dropped, because they can hold bodies, cookies and values.
"""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, and exception when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            line["request_id"] = current
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def config(*, level: str) -> dict[str, Any]:
    """Return the value of Django's LOGGING."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json"},
            "nowhere": {"class": "logging.NullHandler"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},  # a traceback each
            "django.db.backends": {"level": "WARNING"},  # below it are statements with their values
            "axes": {"level": "ERROR"},  # the audit has each failed sign-in
            "uvicorn": {"handlers": [], "propagate": True},
            "uvicorn.error": {"level": "WARNING"},
            "uvicorn.access": {"handlers": [], "propagate": False},  # its lines hold query strings
        },
    }
