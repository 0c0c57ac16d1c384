from typing import Any

from django.core.management.base import CommandParser

from codec.command import MakeTokenCommand, find_user
from codec.tokens import TokenRefused


class Command(MakeTokenCommand):
    help = "Make a token for a person's CLI. It never allows more than its owner's grants."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username")

    def run(self, *, username: str, **options: Any) -> None:
        user = find_user(username)
        if user.is_service:
            raise TokenRefused(f"{user} is a service. Use create_service_token.")
        self.make(user, options)
