from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from keys.actor import operator
from keys.command import VaultCommand
from keys.models import Namespace
from keys.namespaces import retire_namespace
from keys.rotation import find_namespace


class Command(VaultCommand):
    help = "Take a namespace out of use: nothing is decoded or encoded there until it is restored. Nothing is deleted."
    act: Callable[..., Namespace] = staticmethod(retire_namespace)
    done = "Nothing is decoded or encoded in {} any more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")

    def run(self, *, namespace: str, reason: str, **options: Any) -> None:
        row = self.act(find_namespace(namespace), actor=operator(), reason=reason)
        self.stdout.write(self.done.format(row))
