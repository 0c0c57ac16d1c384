"""Where a person is sent after signing in: a page of ours, or a configured Web UI; never anywhere else."""

from urllib.parse import quote, urlsplit

from django.conf import settings

_SAFE = "/?:@!$&'()*+,;=-._~%"


def safe_target(target: str) -> str | None:
    """Return `target`, rebuilt from its parts, if it is a path of this server or lies at a UI origin, else None."""
    if not target.isprintable() or target.startswith("//") or "\\" in target or " " in target:
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    origin = f"{parts.scheme}://{parts.netloc}"
    if not parts.scheme and not parts.netloc:
        return _rebuild("", parts.path, parts.query) if parts.path.startswith("/") else None
    return _rebuild(origin, parts.path, parts.query) if origin in settings.CODEC_UI_ORIGINS else None


def _rebuild(origin: str, path: str, query: str) -> str:
    path = "/" + path.lstrip("/")
    return origin + quote(path, safe=_SAFE) + (f"?{quote(query, safe=_SAFE)}" if query else "")
