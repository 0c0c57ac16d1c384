"""Commands about people, services and rights."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from codec.grants import GrantRefused, Subject
from codec.models import ApiToken, User
from codec.services import ServiceRefused, find_group
from codec.token_format import TokenText
from codec.tokens import TokenRefused, Wish, make_token
from keys.actor import operator
from keys.command import VaultCommand
from keys.errors import KeysError
from keys.rotation import find_namespace


class NoSuchUser(KeysError):
    """There is no user of that name."""


class AccessCommand(VaultCommand):
    """A command whose expected refusals include those of grants, tokens and services."""

    refusals = (*VaultCommand.refusals, GrantRefused, ServiceRefused, TokenRefused)


class MakeTokenCommand(AccessCommand):
    """Makes a token and prints it, this one time: a sentence and the token, or with --json one object."""

    def add_arguments(self, parser: CommandParser) -> None:
        longest = settings.CODEC_TOKEN_MAX_DAYS
        parser.add_argument("--name", required=True, help="what it is for, to know it again")
        parser.add_argument("--namespace", action="append", help="only there; repeat it for more (default: everywhere)")
        parser.add_argument("--decode", action="store_true")
        parser.add_argument("--encode", action="store_true")
        parser.add_argument("--days", type=int, default=longest, help=f"until it expires, at most {longest}")
        parser.add_argument("--json", action="store_true", help="write a JSON object that holds the token")

    def make(self, user: User, options: dict[str, Any]) -> None:
        names: list[str] | None = options["namespace"]
        wish = Wish(
            name=options["name"],
            days=options["days"],
            namespaces=None if names is None else [find_namespace(name) for name in names],
            decode=options["decode"],
            encode=options["encode"],
        )
        token, text = make_token(user, wish, actor=operator())
        self._tell(token, text, as_json=options["json"])

    def _tell(self, token: ApiToken, text: TokenText, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**describe(token), "token": text.reveal}))
            return
        self.stdout.write(
            f"{token.user} may {token.verbs} with this token in {token.reach}, as far as its grants go, until "
            f"{token.expires_at:%Y-%m-%d}. It is shown this one time."
        )
        self.stdout.write(text.reveal)


def find_user(username: str) -> User:
    """Return the user. Raises NoSuchUser."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NoSuchUser(f"There is no user {username}.")
    return user


def add_subject(parser: CommandParser) -> None:
    """Let a command be about a user, or about a group: `alice payments`, or `payments --group support`."""
    parser.add_argument("username", nargs="?", help="a person or a service")
    parser.add_argument("--group", help="a group instead: whoever is in it at that moment")


def find_subject(options: dict[str, Any]) -> Subject:
    """Return the user or the group. Raises NoSuchUser, ServiceRefused, GrantRefused."""
    username, group = options["username"], options["group"]
    if (username is None) == (group is None):
        raise GrantRefused("Name a user, or a group with --group.")
    return find_user(username) if username is not None else find_group(group)


def describe(token: ApiToken) -> dict[str, Any]:
    """Return what may be known of a token: never itself."""
    return {
        "id": token.label,
        "user": token.user.username,
        "name": token.name,
        "namespaces": token.namespace_names,
        "decode": token.decode,
        "encode": token.encode,
        "state": token.state,
        "created_at": token.created_at.isoformat(),
        "created_by": token.created_by,
        "expires_at": token.expires_at.isoformat(),
        "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
    }
