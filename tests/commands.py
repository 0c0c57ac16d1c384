"""Management commands, as an operator runs them."""

import io
from unittest.mock import patch

from django.core.checks import run_checks
from django.core.management import call_command


def manage(command: str, *arguments: str, stdin: bytes = b"") -> str:
    """Run a command of manage.py and return what it printed. A refusal raises CommandError."""
    printed = io.StringIO()
    with patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")):
        call_command(command, *arguments, stdout=printed, stderr=printed, no_color=True)
    return printed.getvalue()


def failed_checks() -> set[str]:
    """Return the ids of what `manage.py check --deploy` finds wrong."""
    return {message.id for message in run_checks(include_deployment_checks=True)}
