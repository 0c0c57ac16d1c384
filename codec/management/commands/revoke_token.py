import sys
from typing import Any

from django.core.management.base import CommandParser

from codec.command import AccessCommand
from codec.tokens import find_token, find_token_by_text, revoke_token
from keys.actor import operator


class Command(AccessCommand):
    help = "End a token, from the very next request on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "label", metavar="id", help="its id, as `list_tokens` shows it; or - to read the token itself from input"
        )
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")

    def run(self, *, label: str, reason: str, **options: Any) -> None:
        # By input, so that a token somebody has found can be ended without showing it in the list of processes.
        found = find_token_by_text(sys.stdin.read().strip()) if label == "-" else find_token(label)
        revoke_token(found, actor=operator(), reason=reason)
        self.stdout.write(f"The token {found.label}, {found.name} of {found.user}, opens nothing any more.")
