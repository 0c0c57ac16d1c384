from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone

from codec.command import AccessCommand, add_subject, find_subject
from codec.grants import GrantRefused, grants_in_force, revoke_grant, to
from codec.models import Grant, User
from keys.actor import operator


class Command(AccessCommand):
    help = "End the grants of a person, a service or a group on a namespace, from the very next request on."

    def add_arguments(self, parser: CommandParser) -> None:
        add_subject(parser)
        parser.add_argument("namespace")
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")

    @transaction.atomic
    def run(self, *, namespace: str, reason: str, **options: Any) -> None:
        subject = find_subject(options)
        grants = Grant.objects.not_over(timezone.now()).filter(**to(subject), namespace__name=namespace)
        if not grants:
            raise GrantRefused(f"{subject} has no grant on {namespace}.")
        for grant in grants:
            revoke_grant(grant, actor=operator(), reason=reason)
        self.stdout.write(f"{subject} has no grant on {namespace} any more.")
        for left in grants_in_force(subject).filter(namespace__name=namespace) if isinstance(subject, User) else ():
            self.stdout.write(f"The group {left.group} still lets {subject} {left.verbs} there.")
