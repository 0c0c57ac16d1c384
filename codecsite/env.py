"""Read settings from the environment. Every reader refuses a bad value and names the variable, never the value."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_DIGITS = re.compile(r"[0-9]{1,15}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_ORIGIN = re.compile(r"(https?)://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?")
_NAME = re.compile(r"[A-Z][A-Z0-9]*")
_MAX_PORT = 65535
_DEFAULT_PORTS = {"http": "80", "https": "443"}


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
    if not _DIGITS.fullmatch(value) or int(value) < minimum:
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {minimum}.")
    return int(value)


def envport(name: str, default: int) -> int:
    port = envint(name, default, minimum=1)
    if port > _MAX_PORT:
        raise ImproperlyConfigured(f"{name} must be a port, at most {_MAX_PORT}.")
    return port


def envchoice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = envstr(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(filter(None, choices))}.")
    return value


def envlist(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return the comma-separated items of the variable, stripped, without empty ones."""
    if name not in os.environ:
        return list(default)
    return [item for item in (part.strip() for part in os.environ[name].split(",")) if item]


def envnames(name: str) -> list[str]:
    """Return comma-separated names in capitals, as they stand in the names of further variables."""
    names = [item.upper() for item in envlist(name)]
    if len(set(names)) < len(names) or not all(_NAME.fullmatch(item) for item in names):
        raise ImproperlyConfigured(f"{name} must hold different names of letters and digits, separated by commas.")
    return names


def refuse_unknown(prefix: str, known: set[str]) -> None:
    """Refuse variables that begin with `prefix` and are not known: a setting with a slip in its name does nothing."""
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            raise ImproperlyConfigured(f"{name} is not a setting of this server.")


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


def envkey(name: str) -> str | None:
    """Return the 32-byte key in NAME or NAME_FILE, as 64 hex digits, or None."""
    value = envsecret(name)
    if value is not None and not _KEY.fullmatch(value):
        raise ImproperlyConfigured(f"{name} must be 32 random bytes as 64 hex digits (openssl rand -hex 32).")
    return value


def check_origin(name: str, value: str) -> str:
    """Return `value` if it is scheme://host[:port] as browsers write an Origin: no capitals, no default port."""
    match = _ORIGIN.fullmatch(value)
    if match is None or match[2] == _DEFAULT_PORTS[match[1]] or int(match[2] or 1) > _MAX_PORT:
        raise ImproperlyConfigured(
            f"{name} must hold origins like https://temporal.example.com: in small letters, no path, no default port."
        )
    return value


def is_loopback_url(url: str) -> bool:
    """True for http(s) URLs whose host can only be this machine."""
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
