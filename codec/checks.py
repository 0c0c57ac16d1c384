"""System checks of the door. An error stops every command; docs/configuration.md lists the ids."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


@register()
def public_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.HTTPS or settings.LOOPBACK:
        return []
    hint = "Use https, or http://localhost for trying it on your own machine."
    return [Error("CODEC_PUBLIC_URL is plain http on a host that others can reach.", hint=hint, id="codec.E001")]


@register()
def ui_origins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.CODEC_UI_ORIGINS:
        hint = (
            "Name the origin of your Temporal Web UI, e.g. https://temporal.example.com or https://cloud.temporal.io."
        )
        return [Error("CODEC_UI_ORIGINS is empty.", hint=hint, id="codec.E002")]
    plain = [
        o for o in settings.CODEC_UI_ORIGINS if o.startswith("http://") and urlsplit(o).hostname not in LOOPBACK_HOSTS
    ]
    hint = "Anyone on the network path could change such a page and read what it decodes."
    return [Error(f"CODEC_UI_ORIGINS allows the plain http origin {o}.", hint=hint, id="codec.E003") for o in plain]


@register()
def allowed_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    wild = [host for host in settings.ALLOWED_HOSTS if host.startswith((".", "*"))]
    if wild:
        hint = "List each host name; a wildcard lets a forged Host header through."
        return [Error("ALLOWED_HOSTS contains a wildcard.", hint=hint, id="codec.E004")]
    if urlsplit(settings.CODEC_PUBLIC_URL).hostname not in settings.ALLOWED_HOSTS:
        return [Error("ALLOWED_HOSTS does not contain the host of CODEC_PUBLIC_URL.", id="codec.E005")]
    return []


@register()
def https_ends_somewhere(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    certificate, key = settings.CODEC_TLS_CERTIFICATE, settings.CODEC_TLS_PRIVATE_KEY
    if bool(certificate) != bool(key):
        return [Error("CODEC_TLS_CERTIFICATE and CODEC_TLS_PRIVATE_KEY go together.", id="codec.E006")]
    missing = [path for path in (certificate, key) if path and not Path(path).is_file()]
    if missing:
        return [Error(f"There is no file {missing[0]}.", id="codec.E007")]
    if settings.HTTPS and not certificate and not settings.CODEC_TRUSTED_PROXIES:
        hint = "Set CODEC_TRUSTED_PROXIES=1 behind one TLS proxy, or give a certificate and its key."
        return [Error("CODEC_PUBLIC_URL is https, but nothing here speaks TLS.", hint=hint, id="codec.E008")]
    return []


@register("security", deploy=True)
def local_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    world_readable = Path(settings.CODEC_VAR).is_dir() and Path(settings.CODEC_VAR).stat().st_mode & 0o077
    if world_readable:
        hint = f"chmod 700 {settings.CODEC_VAR}"
        return [Warning("Others on this machine can look into CODEC_VAR.", hint=hint, id="codec.W001")]
    return []
