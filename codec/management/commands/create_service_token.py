from typing import Any

from django.core.management.base import CommandParser

from codec.command import MakeTokenCommand, find_user
from codec.tokens import TokenRefused


class Command(MakeTokenCommand):
    help = "Make a token for a service. It never allows more than the grants of the service."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("service")

    def run(self, *, service: str, **options: Any) -> None:
        user = find_user(service)
        if not user.is_service:
            raise TokenRefused(f"{user} is no service. Use create_token.")
        self.make(user, options)
