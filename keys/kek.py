"""The first KEK of an installation."""

from pathlib import Path

from django.conf import settings

from keys.errors import VaultUnavailable
from keys.models import KeyVersion
from keys.wrapping.local import create_ring


def ensure_local_kek() -> bool:
    """Create the local KEK file if this installation is new and needs one; return whether it did.

    Raises VaultUnavailable when keys exist that were wrapped by a KEK file that is gone:
    a new one could not unwrap them, and would only hide the loss.
    """
    scheme, _, path = settings.CODEC_KEK.partition(":")
    if scheme != "local" or Path(path).exists():
        return False
    if KeyVersion.objects.filter(wrapped__isnull=False).exists():
        raise VaultUnavailable(f"The KEK file {path} is gone, and this database holds keys that need it. Restore it.")
    create_ring(Path(path))
    return True
