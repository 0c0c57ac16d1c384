"""System checks of the vault, run by `check --deploy`."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

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
