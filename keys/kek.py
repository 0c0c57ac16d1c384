"""The first KEK of an installation."""

from contextlib import suppress
from pathlib import Path

from django.conf import settings

from keys.errors import VaultUnavailable
from keys.models import KeyVersion
from keys.wrapping import provider
from keys.wrapping.local import create_ring, held_keys
from keys.wrapping.uris import kek_uris


def ensure_local_kek() -> bool:
    """Create the local KEK file if this installation is new and needs one; return whether it did.

    Only a file that CODEC_KEK names first is made. Raises VaultUnavailable when keys exist that no other KEK unwraps:
    then the file is gone, and a new one could not unwrap them, but would hide the loss.
    """
    first, *others = kek_uris(settings.CODEC_KEK)
    scheme, _, path = first.partition(":")
    if scheme != "local" or path == "env" or Path(path).exists():
        return False
    if _stored_kek_ids() and not _all_held(others):
        raise VaultUnavailable(f"The KEK file {path} is gone, and this database holds keys that need it. Restore it.")
    create_ring(Path(path))
    return True


def keks_on_this_machine() -> set[bytes]:
    """Return the KEKs that CODEC_KEK names as `local:`, as far as they can be read; for a check, not for use."""
    found: set[bytes] = set()
    with suppress(VaultUnavailable):
        for uri in kek_uris(settings.CODEC_KEK):
            scheme, _, rest = uri.partition(":")
            if scheme == "local":
                found |= held_keys(rest)
    return found


def _stored_kek_ids() -> set[str]:
    return set(KeyVersion.objects.filter(wrapped__isnull=False).values_list("kek_id", flat=True))


def _all_held(uris: list[str]) -> bool:
    return bool(uris) and all(map(provider(" ".join(uris)).holds, _stored_kek_ids()))
