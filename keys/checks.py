"""System checks of the vault. Those with the tag run by `check --deploy` only; docs/configuration.md lists the ids."""

import base64
import binascii
from contextlib import suppress
from itertools import combinations
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from keys import append_only, epoch
from keys.kek import keks_on_this_machine
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


@register(Tags.security, deploy=True)
def audit_is_append_only(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if missing := append_only.missing_triggers():
        hint = "Restore the database's schema from its migrations, then run verify_audit."
        return [Error(f"The database lacks the triggers {', '.join(missing)}.", hint=hint, id="keys.E004")]
    if append_only.role_has_more_rights_than_needed():
        hint = "Serve with a role of its own: deploy/postgresql-roles.sql, docs/audit.md."
        return [Warning("The role in DATABASE_URL may change audit records.", hint=hint, id="keys.W001")]
    return []


@register()
def secrets_differ(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Who learns one of the four secrets must not have another."""
    forms = {
        "CODEC_AUDIT_KEY": _forms(settings.CODEC_AUDIT_KEY),
        "CODEC_AUDIT_SIGNING_KEY": _forms(settings.CODEC_AUDIT_SIGNING_KEY),
        "DJANGO_SECRET_KEY": _forms(settings.SECRET_KEY),
        "a local KEK": keks_on_this_machine(),
    }
    same = [(one, other) for one, other in combinations(forms, 2) if forms[one] & forms[other]]
    hint = "Each needs random bytes of its own: openssl rand -hex 32."
    return [Error(f"{one} is the same as {other}.", hint=hint, id="keys.E003") for one, other in same]


def _forms(secret: str) -> set[bytes]:
    """Return the bytes that the text of a secret can stand for."""
    forms = {secret.encode()}
    with suppress(ValueError):
        forms.add(bytes.fromhex(secret))
    with suppress(binascii.Error, ValueError):
        forms.add(base64.b64decode(secret, validate=True))
    return forms
