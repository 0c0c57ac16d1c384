from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from codec.command import AccessCommand
from codec.models import User
from codec.oidc import provisioning
from keys.actor import operator


class Command(AccessCommand):
    help = (
        "Let a person sign in at the provider as USERNAME, who is made if there is no such user: by their verified "
        "e-mail address, or, where the provider verifies none, by their subject."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--email", help="as the provider will report it")
        who.add_argument("--subject", help="as our page shows it to somebody who is not invited")
        parser.add_argument("--issuer", default=settings.CODEC_OIDC_ISSUER, help="default: CODEC_OIDC_ISSUER")

    @transaction.atomic
    def run(self, **options: Any) -> None:
        issuer, email, subject = options["issuer"], options["email"], options["subject"]
        if not issuer:
            raise CommandError("CODEC_OIDC_ISSUER is not set.")
        user = self._ensure_user(options["username"])
        if email is not None:
            provisioning.invite(user, email, issuer, actor=operator())
            self.stdout.write(f"The first person to sign in at {issuer} as {email} will be {user}.")
        else:
            provisioning.bind(user, issuer, subject, actor=operator())
            self.stdout.write(f"{subject} at {issuer} is {user} from now on.")

    def _ensure_user(self, username: str) -> User:
        return User.objects.filter(username=username).first() or User.objects.create_user(username)
