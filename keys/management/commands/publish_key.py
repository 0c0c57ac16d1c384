from typing import Any

from django.core.management.base import CommandParser

from keys.actor import operator
from keys.command import KeyCommand
from keys.rotation import find_namespace, publish_key


class Command(KeyCommand):
    help = "Make a new random key version that only decodes, for Workers to fetch before promote_key."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("namespace")
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")

    def run(self, *, namespace: str, reason: str, **options: Any) -> None:
        version = publish_key(find_namespace(namespace), actor=operator(), reason=reason)
        self.tell([version], f"{namespace} can now decode with key {version.key_id}.", as_json=options["json"])
