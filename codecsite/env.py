"""Read settings from the environment. Every reader refuses a bad value and names the variable, never the value."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def envstr(name: str, default: str = "") -> str:
    """Return the variable, stripped, or `default` when it is unset or blank."""
    return os.environ.get(name, "").strip() or default


def envbool(name: str, default: bool = False) -> bool:
    value = envstr(name, str(default)).lower()
    if value in _TRUE | _FALSE:
        return value in _TRUE
    raise ImproperlyConfigured(f"{name} must be 1 or 0.")


def envint(name: str, default: int, *, minimum: int = 0) -> int:
    value = envstr(name, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < minimum:
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {minimum}.")
    return int(value)


def envlist(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return the comma-separated items of the variable, stripped, without empty ones."""
    if name not in os.environ:
        return list(default)
    return [item for item in (part.strip() for part in os.environ[name].split(",")) if item]


def envsecret(name: str) -> str | None:
    """Return the secret in NAME, or in the file that NAME_FILE names, or None. Both together are refused."""
    direct, file = envstr(name), envstr(f"{name}_FILE")
    if direct and file:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
    if not file:
        return direct or None
    try:
        return Path(file).read_text("utf-8").strip() or _refuse_empty(name)
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE cannot be read: {type(error).__name__}.") from error


def _refuse_empty(name: str) -> str:
    raise ImproperlyConfigured(f"The file that {name}_FILE names is empty.")


def check_origin(name: str, value: str) -> str:
    """Return `value` if it is exactly scheme://host[:port] in lower case, as browsers write an Origin."""
    try:
        parts = urlsplit(value)
        exact = f"{parts.scheme}://{parts.netloc}" == value.lower() == value and parts.port != 0
    except ValueError:
        exact = False
    if not exact or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ImproperlyConfigured(f"{name} must hold origins like https://temporal.example.com, without a path.")
    return value


def is_loopback_url(url: str) -> bool:
    """True for http(s) URLs whose host can only be this machine."""
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
