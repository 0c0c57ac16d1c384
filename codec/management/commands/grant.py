from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from codec.command import AccessCommand, add_subject, find_subject
from codec.grants import give_grant
from codec.models import VERBS
from keys.actor import operator
from keys.rotation import find_namespace


class Command(AccessCommand):
    help = (
        "Let a person, a service or a group decode, encode and so on in a namespace. Replaces what was given by hand."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_subject(parser)
        parser.add_argument("namespace")
        for verb, words in VERBS.items():
            parser.add_argument(f"--{verb}", action="store_true", help=f"may {words}")
        parser.add_argument("--from", type=moment, dest="starts_at", help="when it begins, e.g. 2026-12-01T08:00 (UTC)")
        end = parser.add_mutually_exclusive_group()
        end.add_argument("--until", type=moment, dest="ends_at", help="when it ends (UTC); without it, never")
        end.add_argument("--hours", type=int, help="how long it lasts")
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")
        parser.add_argument("--ticket", default="", help="where it was asked for")

    def run(self, *, namespace: str, starts_at: datetime | None, hours: int | None, **options: Any) -> None:
        ends_at: datetime | None = options["ends_at"]
        if hours is not None:
            ends_at = (starts_at or timezone.now()) + timedelta(hours=hours)
        subject = find_subject(options)
        grant = give_grant(
            subject,
            find_namespace(namespace),
            actor=operator(),
            decode=options["decode"],
            encode=options["encode"],
            download=options["download"],
            lease=options["lease"],
            starts_at=starts_at,
            ends_at=ends_at,
            reason=options["reason"],
            ticket=options["ticket"],
        )
        start = "now" if grant.in_force else f"from {grant.starts_at:%Y-%m-%d %H:%M} UTC"
        end = f" until {grant.ends_at:%Y-%m-%d %H:%M} UTC" if grant.ends_at else ""
        self.stdout.write(f"{subject} may {start} {grant.verbs} in {grant.namespace}{end}.")


def moment(text: str) -> datetime:
    """Read a date, with or without a time, as UTC unless it says otherwise."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is not a date like 2026-12-01 or 2026-12-01T08:00") from None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
