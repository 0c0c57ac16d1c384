"""Secrets that every test uses, and the watch that none of them ever shows where it must not."""

import base64

PLAINTEXT = "canary-plaintext-4f1c7d"
PASSWORD = "canary-password-9b3e2a"
DATA_KEY = b"canary-key-5d8a!canary-key-5d8a!"

_FORBIDDEN = [
    PLAINTEXT.encode(),
    base64.b64encode(f'"{PLAINTEXT}"'.encode()),
    PASSWORD.encode(),
    DATA_KEY,
    base64.b64encode(DATA_KEY),
    DATA_KEY.hex().encode(),
]
_cookies: set[bytes] = set()


def watch_cookie(value: str) -> None:
    """From now on this session cookie's value is a secret, too."""
    if value:
        _cookies.add(value.encode())


def watch_token(value: str) -> None:
    """From now on this API token, or its digest, is a secret, too."""
    _cookies.add(value.encode())


def check(place: str, content: str | bytes) -> None:
    """Fail if a secret stands in `content`."""
    data = content.encode() if isinstance(content, str) else content
    shown = [secret[:6] for secret in (*_FORBIDDEN, *_cookies) if secret in data]
    assert not shown, f"A secret shows in {place}: it begins with {shown[0]!r}"
