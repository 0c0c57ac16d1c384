"""The bases of this project's management commands."""

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.actor import operator
from keys.errors import KeysError
from keys.models import KeyVersion
from keys.rotation import find_namespace, find_version


class VaultCommand(BaseCommand):
    """An expected refusal ends in one sentence, not a traceback. Subclasses write `run` instead of `handle`."""

    refusals: tuple[type[Exception], ...] = (KeysError,)
    run: Callable[..., None]

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.run(**options)
        except self.refusals as error:
            raise CommandError(str(error)) from error


class KeyCommand(VaultCommand):
    """A command that tells about key versions: a sentence for people, or with --json one array for programs."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="write the key versions as a JSON array")

    def tell(self, versions: list[KeyVersion], sentence: str, *, as_json: bool) -> None:
        self.stdout.write(json.dumps([describe(version) for version in versions]) if as_json else sentence)


class KeyVerbCommand(KeyCommand):
    """A verb on one key version: NAMESPACE KEY_ID --reason TEXT. Subclasses write `act`."""

    act: Callable[..., KeyVersion]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("namespace")
        parser.add_argument("key_id", help="as `list_keys` shows it")
        parser.add_argument("--reason", required=True, help="why; it goes into the audit records")

    def run(self, *, namespace: str, key_id: str, reason: str, **options: Any) -> None:
        version = find_version(find_namespace(namespace), key_id)
        version = self.act(version, actor=operator(), reason=reason, **self.more(options))
        primary = ", the primary" if version.is_primary else ""
        self.tell(
            [version], f"{version.key_id} of {namespace} is now {version.state}{primary}.", as_json=options["json"]
        )

    def more(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return further keywords for `act`."""
        return {}


def describe(version: KeyVersion) -> dict[str, Any]:
    """Return what may be known of a key version: never material."""
    return {
        "namespace": version.namespace.name,
        "number": version.number,
        "key_id": version.key_id,
        "state": version.state,
        "primary": version.is_primary,
        "origin": version.origin,
        "kek_id": version.kek_id,
        "created_at": version.created_at.isoformat(),
        "destroy_at": version.destroy_at.isoformat() if version.destroy_at else None,
    }
