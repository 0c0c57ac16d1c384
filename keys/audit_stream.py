"""Committed audit records as JSON lines on standard output of a serving process, for a log collector.

The database is the logbook; this is its copy. A collector that does not keep up delays no request: what no longer
fits in the queue is counted as lost, and the count is the next line that gets through: {"audit_lost": n}.
"""

import json
import queue
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from keys.audit_mould import Line

_CAPACITY = 10_000
_PAUSE = 0.05  # seconds between two writes: waking up for every batch costs the requests more than writing it


@dataclass(slots=True)
class Health:
    """`lost` lines since the start, and the seconds that the last written line had waited."""

    lost: int = 0
    lag: float = 0.0


class AuditStream:
    """Writes lines from one thread of its own. Until it is opened, as in a command, it takes none."""

    def __init__(self) -> None:
        self.health = Health()
        self._batches: queue.SimpleQueue[tuple[float, list[Line]]] = queue.SimpleQueue()
        self._waiting = 0
        self._unreported = 0
        self._lock = threading.Lock()
        self._open = False

    def open(self) -> None:
        """From now on write what is committed."""
        self._open = True
        threading.Thread(target=self._write_all, name="audit stream", daemon=True).start()

    def put(self, lines: list[Line]) -> None:
        """Queue the lines of committed records. Never waits."""
        if not self._open:
            return
        with self._lock:
            room = max(_CAPACITY - self._waiting, 0)
            lost = max(len(lines) - room, 0)
            self._waiting += len(lines) - lost
            self.health.lost += lost
            self._unreported += lost
        self._batches.put((time.monotonic(), lines[:room]))

    def close(self) -> None:
        """Write what still waits, before the process ends."""
        with suppress(queue.Empty):
            self._write(*self._batches.get_nowait())

    def _write_all(self) -> None:
        while True:
            self._write(*self._batches.get())
            time.sleep(_PAUSE)

    def _write(self, queued_at: float, lines: list[Line]) -> None:
        """Write these lines and all that have gathered behind them."""
        lines = list(lines)
        with suppress(queue.Empty):
            while True:
                lines += self._batches.get_nowait()[1]
        with self._lock:
            self._waiting -= len(lines)
        sys.stdout.write(self._loss() + "".join(map(_as_text, lines)))
        sys.stdout.flush()
        self.health.lag = time.monotonic() - queued_at

    def _loss(self) -> str:
        with self._lock:
            unreported, self._unreported = self._unreported, 0
        return json.dumps({"audit_lost": unreported}) + "\n" if unreported else ""


def _as_text(line: Line) -> str:
    return f'{{"audit":{line.canonical.decode()},"mac":"{line.mac.hex()}"}}\n'


stream = AuditStream()
