"""How e-mail leaves: CODEC_EMAIL_URL, read into the values that Django's mail wants."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_BACKENDS = "django.core.mail.backends"
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_WRONG = (
    "CODEC_EMAIL_URL must be console: or smtp+starttls://user:password@host:587, smtps://… or smtp://…, "
    "with special characters percent-encoded."
)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Nowhere, by default."""

    backend: str = f"{_BACKENDS}.dummy.EmailBackend"
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    tls: bool = False


def read(url: str | None) -> MailServer:
    """Return where mail goes: nowhere without a URL. Raises ImproperlyConfigured, which does not quote it."""
    if not url:
        return MailServer()
    if url == "console:":
        return MailServer(f"{_BACKENDS}.console.EmailBackend")
    try:
        return _smtp(urlsplit(url))
    except ValueError:  # of the port, and it quotes it
        raise ImproperlyConfigured(_WRONG) from None


def _smtp(parts: SplitResult) -> MailServer:
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise ImproperlyConfigured(_WRONG)
    return MailServer(
        f"{_BACKENDS}.smtp.EmailBackend",
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=parts.scheme == "smtp+starttls",
        tls=parts.scheme == "smtps",
    )
