"""An authenticated caller."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """`credential` names what was shown: its kind and the first 12 hex digits of its digest."""

    user_id: int
    username: str
    credential: str
