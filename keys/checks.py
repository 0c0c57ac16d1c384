"""System checks of the vault, run by `check --deploy`."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from keys import epoch
from keys.selftest import kek_problems


@register(Tags.security, deploy=True)
def kek_works(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    hint = "Run `manage.py bootstrap` on a new installation, or see CODEC_KEK in docs/kek-providers.md."
    return [Error(problem, hint=hint, id="keys.E001") for problem in kek_problems()]


@register(Tags.security, deploy=True)
def epoch_triggers_are_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    missing = epoch.missing_triggers()
    if missing:
        hint = "Without them a revocation may go unnoticed. Restore the database's schema from its migrations."
        return [Error(f"The database lacks the triggers {', '.join(missing)}.", hint=hint, id="keys.E002")]
    return []
