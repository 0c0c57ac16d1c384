"""A point in time, as an operator writes it."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def moment(text: str) -> datetime:
    """Return the time that `2026-11-22` (its first moment) or `2026-11-22T14:30` stands for; UTC unless it says so.

    Made for argparse: raises ArgumentTypeError.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a date like 2026-11-22 or a time like 2026-11-22T14:30.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
