"""Is the KEK there and does it work? Wraps and unwraps a throw-away key."""

import os

from django.conf import settings

from keys.errors import VaultUnavailable
from keys.wrapping import provider
from keys.wrapping.base import Binding


def check_kek() -> None:
    """Raises VaultUnavailable when the configured KEK does not give back what it wrapped."""
    kek = provider(settings.CODEC_KEK)
    data_key, binding = os.urandom(32), Binding("selftest", "selftest", 1)
    if kek.unwrap(*kek.wrap(data_key, binding), binding) != data_key:
        raise VaultUnavailable("The KEK does not give back what it wrapped.")
