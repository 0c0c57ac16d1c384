"""Every change to keys says why."""

from keys.errors import ReasonRequired


def required(reason: str) -> str:
    """Return the reason, stripped. Raises ReasonRequired when nothing is left."""
    if not reason.strip():
        raise ReasonRequired("Say why, in a few words.")
    return reason.strip()
