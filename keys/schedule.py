"""Chores of a serving process, each in a thread of its own that ends with the process."""

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, connection

from keys.errors import KeysError

logger = logging.getLogger(__name__)


def every(seconds: float, chore: Callable[[], object], *, name: str) -> threading.Thread:
    """Run `chore` now and then every `seconds`; a failure is logged, and the next time comes all the same."""
    thread = threading.Thread(target=_repeat, args=(seconds, chore, name), name=name, daemon=True)
    thread.start()
    return thread


def _repeat(seconds: float, chore: Callable[[], object], name: str) -> None:
    while True:
        try:
            chore()
        except (DatabaseError, KeysError, OSError):
            logger.exception("%s failed", name)
        finally:
            connection.close()
        time.sleep(seconds)
