"""System checks of the door. An error stops every command; docs/configuration.md lists the ids."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from codec.callers import issuers
from codec.callers.issuers import DEFAULT_MAX_LIFETIME, Issuer
from codec.callers.jwks import is_safe_url
from codec.identities import is_usable

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


@register()
def token_issuers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    configured = issuers.configured()
    hint = "See docs/access-tokens.md."
    found = [Error(says, hint=hint, id=id) for issuer in configured for says, id in _wrong_with(issuer)]
    places = Counter((issuer.url, issuer.header) for issuer in configured)
    hint = "Put all audiences into one issuer, or take the tokens of each from another header."
    return [
        *found,
        *(
            Error(f"Two token issuers have the URL {url} and the header {header}.", hint=hint, id="codec.E024")
            for (url, header), number in places.items()
            if number > 1
        ),
    ]


def _wrong_with(issuer: Issuer) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings of one token issuer, and the check's id."""
    prefix = f"CODEC_ISSUER_{issuer.name.upper()}"
    missing = [option for option in ("url", "jwks_url", "audiences") if not getattr(issuer, option)]
    for option in missing:
        yield f"{prefix}_{option.upper()} is not set.", "codec.E020"
    if issuer.url and not is_usable(issuer.url):
        yield f"{prefix}_URL is longer than 255 characters, or not printable ASCII.", "codec.E020"
    if issuer.jwks_url and not is_safe_url(issuer.jwks_url):
        yield f"{prefix}_JWKS_URL is not an https URL: keys could be changed on their way.", "codec.E021"
    for algorithm in issuer.algorithms:
        if algorithm not in issuers.ASYMMETRIC:
            yield f"{prefix}_ALGORITHMS has one that is not an asymmetric signature.", "codec.E022"
    if issuer.email_trusted and not issuer.email_claim:
        yield f"{prefix}_EMAIL_TRUSTED is set, but there is no {prefix}_EMAIL_CLAIM.", "codec.E023"


@register("security", deploy=True)
def token_lifetimes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    hint = "Who has a copy of a token can use it until it expires. One day is the default."
    return [
        Warning(f"Tokens of the issuer {issuer.name} may live longer than a day.", hint=hint, id="codec.W020")
        for issuer in issuers.configured()
        if issuer.max_lifetime_seconds > DEFAULT_MAX_LIFETIME
    ]


@register("security", deploy=True)
def local_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    world_readable = Path(settings.CODEC_VAR).is_dir() and Path(settings.CODEC_VAR).stat().st_mode & 0o077
    if world_readable:
        hint = f"chmod 700 {settings.CODEC_VAR}"
        return [Warning("Others on this machine can look into CODEC_VAR.", hint=hint, id="codec.W001")]
    return []
