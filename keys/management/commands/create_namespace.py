from typing import Any

from django.core.management.base import CommandParser

from keys.actor import operator
from keys.command import VaultCommand
from keys.rotation import create_namespace


class Command(VaultCommand):
    help = "Create a namespace with its first key version."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="as in Temporal, e.g. payments or payments.acct1")

    def run(self, *, name: str, **options: Any) -> None:
        namespace = create_namespace(name, actor=operator())
        self.stdout.write(f"Created namespace {namespace} with key {namespace.key_versions.get().key_id}.")
