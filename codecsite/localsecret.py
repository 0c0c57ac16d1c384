"""A secret that this installation makes for itself, once, in a file only its owner can read."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def read_or_create(path: Path) -> str:
    """Return the text in `path`; when there is no such file yet, create it (mode 0600) with 256 random bits."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip() or _refuse_empty(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path.read_text("ascii").strip()


def _refuse_empty(path: Path) -> str:
    raise ImproperlyConfigured(f"{path} is empty: it was not written to its end. Delete it and start again.")
