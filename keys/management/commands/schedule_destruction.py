from typing import Any

from django.core.management.base import CommandParser

from keys.command import KeyVerbCommand
from keys.lifecycle import DEFAULT_WAIT_DAYS, SHORTEST_WAIT_DAYS, schedule_destruction


class Command(KeyVerbCommand):
    help = "Decode nothing with a key version any more, and erase it after a wait."
    act = staticmethod(schedule_destruction)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        days = f"wait this long, {SHORTEST_WAIT_DAYS} at least (default: {DEFAULT_WAIT_DAYS})"
        parser.add_argument("--days", type=int, default=DEFAULT_WAIT_DAYS, help=days)
        parser.add_argument("--override", action="store_true", help="although Temporal may still keep payloads of it")

    def more(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"days": options["days"], "override": options["override"]}
