from typing import Any

from django.core.management.base import CommandParser

from codec.command import AccessCommand, find_user
from codec.grants import give_grant
from keys.actor import operator
from keys.rotation import find_namespace


class Command(AccessCommand):
    help = "Let a person decode and/or encode in a namespace. Replaces the grant they have there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("namespace")
        parser.add_argument("--decode", action="store_true")
        parser.add_argument("--encode", action="store_true")
        parser.add_argument("--reason", required=True, help="why; it goes to the audit log")

    def run(self, **options: Any) -> None:
        grant = give_grant(
            find_user(options["username"]),
            find_namespace(options["namespace"]),
            decode=options["decode"],
            encode=options["encode"],
            actor=operator(),
            reason=options["reason"],
        )
        self.stdout.write(f"{grant.user} may now {grant.verbs} in {grant.namespace}.")
