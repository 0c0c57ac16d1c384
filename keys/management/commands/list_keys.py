from typing import Any

from django.core.management.base import CommandParser

from keys.command import VaultCommand
from keys.models import KeyVersion
from keys.rotation import find_namespace


class Command(VaultCommand):
    help = "List key versions: namespace, number, id, state, age and KEK. Never key material."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace", nargs="?", help="only this one")

    def run(self, *, namespace: str | None, **options: Any) -> None:
        versions = KeyVersion.objects.select_related("namespace")
        for version in versions.filter(namespace=find_namespace(namespace)) if namespace else versions:
            primary = "primary" if version.is_primary else ""
            created = f"{version.created_at:%Y-%m-%d}"
            self.stdout.write(
                f"{version.namespace.name:24} {version.number:4} {version.key_id:28} {version.state:18} "
                f"{primary:8} {version.origin:10} {created} {version.kek_id}"
            )
