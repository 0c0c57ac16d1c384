"""A viewing in words: "alice read 143 payloads of payments in 12 minutes, with 3 key versions, from 10.2.3.4"."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from keys.review import reviews
from keys.review.models import Viewing, ViewingMark

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A viewing as a page shows it to one auditor."""

    viewing: Viewing
    is_own: bool
    is_over: bool

    @classmethod
    def of(cls, viewing: Viewing, *, own: Collection[str], now: datetime) -> "Line":
        return cls(viewing, viewing.actor_id in own, reviews.is_over(viewing, now))

    @property
    def may_be_reviewed(self) -> bool:
        return self.is_over and not self.is_own

    @property
    def what(self) -> str:
        """e.g. "read 143 payloads and wrote 2 payloads of", to be followed by the namespace."""
        viewing = self.viewing
        done = [
            f"{verb} {counted(number, 'payload')}"
            for verb, number in (("read", viewing.read), ("wrote", viewing.written))
            if number
        ]
        if done:
            return f"{' and '.join(done)} of"
        if viewing.denied:
            return f"had {counted(viewing.denied, 'request')} denied in"
        return f"asked {_times(viewing.requests)} in vain for payloads of"

    @property
    def how_long(self) -> str:
        return in_words(self.viewing.ended_at - self.viewing.started_at)

    @property
    def with_what(self) -> str:
        """e.g. "3 key versions, from 10.2.3.4"."""
        keys = [counted(len(self.viewing.keys), "key version")] if self.viewing.keys else []
        return ", ".join([*keys, f"from {self.addresses}"])

    @property
    def addresses(self) -> str:
        """The addresses with the most requests; further ones as a number."""
        by_number = sorted(self.viewing.addresses, key=lambda address: (-self.viewing.addresses[address], address))
        shown = [address or "an unknown address" for address in by_number[:_SHOWN]]
        more = len(by_number) - len(shown)
        return _list([*shown, f"{more} more"] if more else shown)

    @property
    def marks(self) -> list[ViewingMark]:
        """The gravest first."""
        order = {kind: place for place, kind in enumerate(ViewingMark.Kind.values)}
        return sorted(self.viewing.marks.all(), key=lambda mark: order[mark.kind])

    def __str__(self) -> str:
        return f"{self.viewing.actor_name} {self.what} {self.viewing.namespace} {self.how_long}, {self.with_what}"


def in_words(time: timedelta) -> str:
    """Return e.g. "within a minute", "in 12 minutes", "in 3 hours 5 minutes"."""
    minutes = round(time / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if minutes <= 1:
        return "within a minute"
    parts = [counted(number, unit) for number, unit in ((hours, "hour"), (rest, "minute")) if number]
    return f"in {' '.join(parts)}"


def waited(time: timedelta) -> str:
    """Return a waiting time in the unit that suits it, e.g. "40 minutes", "7 hours", "12 days"."""
    minutes = time / timedelta(minutes=1)
    if minutes < 90:
        return counted(round(minutes), "minute")
    return counted(round(minutes / 60), "hour") if minutes < 48 * 60 else counted(round(minutes / 1440), "day")


def counted(number: int, noun: str) -> str:
    """Return e.g. "1 payload", "1,240 payloads"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _list(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), names[-1]])
