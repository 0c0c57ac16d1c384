from typing import Any

from django.core.management.base import CommandParser

from codec.command import AccessCommand
from codec.services import create_service, find_group


class Command(AccessCommand):
    help = "Create a service: a machine that calls with a token. It has no rights until it is granted some."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--group", required=True, help="whose service it is; its members can revoke its tokens")

    def run(self, *, name: str, group: str, **options: Any) -> None:
        service = create_service(name, find_group(group))
        self.stdout.write(f"Created the service {service} of {service.owner_group}.")
