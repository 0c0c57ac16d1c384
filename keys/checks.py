"""System checks of the vault, run by `check --deploy`."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from keys import epoch
from keys.errors import VaultUnavailable
from keys.selftest import check_kek


@register(Tags.security, deploy=True)
def kek_works(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        check_kek()
    except VaultUnavailable as error:
        hint = "Run `manage.py bootstrap` on a new installation, or see CODEC_KEK in docs/configuration.md."
        return [Error(str(error), hint=hint, id="keys.E001")]
    return []


@register(Tags.security, deploy=True)
def epoch_triggers_are_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    missing = epoch.missing_triggers()
    if missing:
        hint = "Without them a revocation may go unnoticed. Restore the database's schema from its migrations."
        return [Error(f"The database lacks the triggers {', '.join(missing)}.", hint=hint, id="keys.E002")]
    return []
