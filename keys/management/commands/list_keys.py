from typing import Any

from django.core.management.base import CommandParser

from keys.command import KeyCommand
from keys.models import KeyVersion
from keys.rotation import find_namespace


class Command(KeyCommand):
    help = "List key versions: namespace, number, id, state, origin, date of creation and KEK. Never key material."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("namespace", nargs="?", help="only this one")

    def run(self, *, namespace: str | None, **options: Any) -> None:
        versions = KeyVersion.objects.select_related("namespace")
        if namespace:
            versions = versions.filter(namespace=find_namespace(namespace))
        self.tell(list(versions), "\n".join(map(_line, versions)), as_json=options["json"])


def _line(version: KeyVersion) -> str:
    primary = "primary" if version.is_primary else ""
    return (
        f"{version.namespace.name:24} {version.number:4} {version.key_id:28} {version.state:18} "
        f"{primary:8} {version.origin:10} {version.created_at:%Y-%m-%d} {version.kek_id}"
    )
