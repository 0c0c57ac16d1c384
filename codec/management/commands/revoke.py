from typing import Any

from django.core.management.base import CommandParser

from codec.command import AccessCommand, find_user
from codec.grants import GrantRefused, revoke_grant
from codec.models import Grant
from keys.actor import operator


class Command(AccessCommand):
    help = "End a person's grant on a namespace, from the very next request on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("namespace")
        parser.add_argument("--reason", required=True, help="why; it goes to the audit log")

    def run(self, *, username: str, namespace: str, reason: str, **options: Any) -> None:
        user = find_user(username)
        grant = Grant.objects.filter(user=user, namespace__name=namespace, revoked_at=None).first()
        if grant is None:
            raise GrantRefused(f"{username} has no grant on {namespace}.")
        revoke_grant(grant, actor=operator(), reason=reason)
        self.stdout.write(f"{username} has no grant on {namespace} any more.")
