"""This server under a clock that a test can move: libfaketime (Debian: faketime), loaded before the C library.

Nothing in the server knows of it. What the server is told of the time, in Python and in SQLite, is real time plus
the offset in a file, which libfaketime reads at each call. Timers of the event loop run on the monotonic clock, which
stays as it is.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from demo.codec_server import Installation

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


def library() -> Path:
    """Return the path of libfaketime, or skip; inside CI such a test must not be skipped."""
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    if found:
        return found[0]
    reason = "NO LIBFAKETIME FOUND: the test that moves the server's clock did not run. Install faketime."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class UnderMovedClock(Installation):
    """An installation whose processes see the time that `advance` has set."""

    libfaketime: Path = field(kw_only=True)

    def advance(self, by: timedelta) -> None:
        """From the next look at the clock on, it is so much later than in reality."""
        later = self._offset.with_suffix(".new")
        later.write_text(f"+{int(by.total_seconds())}\n")
        later.replace(self._offset)

    def environment(self) -> Mapping[str, str]:
        return {
            **super(UnderMovedClock, self).environment(),
            **_faking(self.libfaketime),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
        }

    @property
    def _offset(self) -> Path:
        return self.directory / "clock"


@dataclass(frozen=True, slots=True)
class SomeTimeAgo(Installation):
    """An installation whose processes see a time before the real one, always by as much."""

    libfaketime: Path = field(kw_only=True)
    ago: timedelta = field(kw_only=True)

    def environment(self) -> Mapping[str, str]:
        offset = {"FAKETIME": f"-{int(self.ago.total_seconds())}"}
        return {**super(SomeTimeAgo, self).environment(), **_faking(self.libfaketime), **offset}


def _faking(libfaketime: Path) -> dict[str, str]:
    return {"LD_PRELOAD": str(libfaketime), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
