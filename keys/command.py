"""The base of this project's management commands: an expected refusal ends in one sentence, not a traceback."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from keys.errors import KeysError


class VaultCommand(BaseCommand):
    """Subclasses write `run`, with their options as keywords, instead of `handle`."""

    refusals: tuple[type[Exception], ...] = (KeysError,)
    run: Callable[..., None]

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.run(**options)
        except self.refusals as error:
            raise CommandError(str(error)) from error
