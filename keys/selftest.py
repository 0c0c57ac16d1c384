"""Are the KEKs there and do they work? Wraps and unwraps a throw-away key with each that CODEC_KEK names."""

import os
import time

from django.conf import settings

from keys.errors import VaultUnavailable
from keys.wrapping import provider
from keys.wrapping.base import Binding
from keys.wrapping.uris import kek_uris

_last: tuple[str, float, list[str]] = ("", 0.0, [])


def check_kek(*, max_age: float = 0) -> None:
    """Raises VaultUnavailable, with a sentence for each KEK that does not give back what it wrapped.

    What was found at most `max_age` seconds ago may stand: for pages that anybody can ask for again and again.
    """
    global _last  # noqa: PLW0603  one answer for the whole process
    setting, found_at, problems = _last
    now = time.monotonic()
    if setting != settings.CODEC_KEK or not now - found_at < max_age:
        problems = kek_problems()
        _last = (settings.CODEC_KEK, now, problems)
    if problems:
        raise VaultUnavailable(" ".join(problems))


def kek_problems() -> list[str]:
    """Return a sentence or two for each KEK of CODEC_KEK that does not work: which one, and why."""
    try:
        uris = kek_uris(settings.CODEC_KEK)
    except VaultUnavailable as error:
        return [str(error)]
    return [f"KEK {place} of CODEC_KEK {problem}" for place, uri in enumerate(uris, 1) if (problem := _problem(uri))]


def _problem(uri: str) -> str:
    data_key, binding = os.urandom(32), Binding("selftest", "selftest", 1)
    try:
        kek = provider(uri)
        if kek.unwrap(*kek.wrap(data_key, binding), binding) == data_key:
            return ""
    except VaultUnavailable as error:
        return f"does not work. {error}"
    return "does not give back what it wrapped."
