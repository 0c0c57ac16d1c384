"""The texts that name KEKs: CODEC_KEK is a list of URIs, `scheme:what` or `scheme:what?name=value&name=value`."""

import re
from urllib.parse import unquote

from keys.wrapping.base import KekUnavailable

_BEFORE_A_SCHEME = re.compile(r"[,\s]+(?=[A-Za-z][A-Za-z0-9+.-]*:)")


def kek_uris(setting: str) -> list[str]:
    """Return the URIs in `setting`, which commas or blanks separate; a path may hold both. Raises KekUnavailable."""
    uris = [uri for uri in _BEFORE_A_SCHEME.split(setting.strip(" \t\r\n,")) if uri]
    if not uris:
        raise KekUnavailable("CODEC_KEK is empty. It names the key encryption key, for example local:/path/to/kek.")
    return uris


def split_options(rest: str, *, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return what stands before `?` and the options after it, percent-decoded. Raises KekUnavailable."""
    what, _, query = rest.partition("?")
    options = attributes(query, separator="&", known=known)
    return what, {name: unquote(value) for name, value in options.items()}


def attributes(text: str, *, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the `name=value` parts of `text`, still percent-encoded. Raises KekUnavailable for names not in `known`.

    The message shows no name or value that was given: somebody will put a PIN there.
    """
    pairs = [part.partition("=") for part in text.split(separator) if part]
    found = {name: value for name, _, value in pairs}
    if len(found) < len(pairs) or not all(found.values()) or not set(found) <= set(known):
        raise KekUnavailable(f"In a URI of CODEC_KEK, only {', '.join(known)} may stand here, each once with a value.")
    return found
