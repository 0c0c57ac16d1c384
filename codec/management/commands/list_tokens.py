import json
from typing import Any

from django.core.management.base import CommandParser

from codec.command import AccessCommand, describe, find_user
from codec.models import ApiToken


class Command(AccessCommand):
    help = "List tokens: id, owner, state, end, last use, verbs, namespaces and name. Never a token itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", help="only those of this person or service")
        parser.add_argument("--json", action="store_true", help="write a JSON array")

    def run(self, *, username: str | None, **options: Any) -> None:
        tokens = ApiToken.objects.select_related("user").prefetch_related("namespaces")
        if username:
            tokens = tokens.filter(user=find_user(username))
        as_json = options["json"]
        self.stdout.write(json.dumps(list(map(describe, tokens))) if as_json else "\n".join(map(_line, tokens)))


def _line(token: ApiToken) -> str:
    used = f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never used"
    return (
        f"{token.label} {token.user.username:20} {token.state:9} {token.expires_at:%Y-%m-%d} {used:10} "
        f"{token.verbs:18} {token.reach}  {token.name}"
    )
