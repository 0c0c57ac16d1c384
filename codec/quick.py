"""What the quick ways give, codec/quick_decode.py and codec/quick_encode.py."""

from collections.abc import Callable
from typing import NamedTuple


class Quick(NamedTuple):
    """The answer in JSON; how many payloads and bytes of data came; the label of the key of each.

    `openings` is what was opened, as key label, nonce and tag, in order.
    """

    answer: bytes
    payloads: int
    size: int
    key_labels: list[str]
    openings: list[tuple[str, bytes, bytes]]


QuickWay = Callable[[bytes], Quick | None]


class Uncommon(Exception):
    """The request has another shape, or something in it is wrong: the general way has to look at it."""


def answer_of(payloads: list[bytes]) -> bytes:
    """Return the answer of payloads in JSON."""
    return b'{"payloads":[%b]}' % b",".join(payloads)
