"""Long pieces of work, a short transaction at a time, with room in between for the audit records of codec requests.

SQLite has one writer at a time, and who waits for it looks again only every so often, up to a tenth of a second
apart. So the writers that write most queue here, within their process, and whoever waits is woken at once.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from django.db import connection, transaction

_PAUSE = 0.02  # seconds
_turn = threading.Lock()
_nothing = threading.Event()  # waited for because time.sleep() fails where a library moves the clock


@contextmanager
def turn() -> Iterator[None]:
    """On SQLite, wait until no other thread of this process is in its turn."""
    with _turn if connection.vendor == "sqlite" else nullcontext():
        yield


@contextmanager
def portion() -> Iterator[None]:
    """Commit what the block writes, and leave others the time for their turn before the next portion."""
    with turn(), transaction.atomic():
        yield
    if connection.vendor == "sqlite":
        _nothing.wait(_PAUSE)


def is_turn_taken() -> bool:
    """Return whether somebody writes in its turn, or waits for SQLite to do so."""
    return _turn.locked()
