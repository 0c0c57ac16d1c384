"""System checks of the door. An error stops every command; docs/configuration.md lists the ids."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from codec.callers import issuers
from codec.callers.issuers import ASYMMETRIC, DEFAULT_MAX_LIFETIME, Issuer
from codec.callers.jwks import is_safe_url
from codec.identities import is_usable

MOST_GUESSES = 10
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
def single_sign_on(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    names = ("CODEC_OIDC_ISSUER", "CODEC_OIDC_CLIENT_ID", "CODEC_OIDC_CLIENT_SECRET")
    values = (settings.CODEC_OIDC_ISSUER, settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET)
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    if len(missing) == len(names):
        return _somebody_can_sign_in()
    if missing:
        hint = "These three go together: see docs/single-sign-on.md."
        return [Error(f"Single sign-on lacks {' and '.join(missing)}.", hint=hint, id="codec.E010")]
    hint = "See docs/single-sign-on.md. None of this has a variable of its own."
    return [Error(says, hint=hint, id=id) for is_wrong, says, id in _dangers_of_oidc() if is_wrong]


def _somebody_can_sign_in() -> list[CheckMessage]:
    if settings.CODEC_LOCAL_PASSWORDS:
        return []
    hint = "Configure single sign-on (docs/single-sign-on.md), or leave CODEC_LOCAL_PASSWORDS on."
    return [Error("Nobody can sign in: no local passwords and no single sign-on.", hint=hint, id="codec.E011")]


def _dangers_of_oidc() -> list[tuple[bool, str, str]]:
    """Return whether it is so, what is wrong then, and the check's id."""
    issuer, algorithm = settings.CODEC_OIDC_ISSUER, settings.OIDC_RP_SIGN_ALGO
    unsafe = not is_safe_url(issuer) or not is_usable(issuer) or bool({"?", "#"} & set(issuer))
    without_limit = not settings.OIDC_TIMEOUT
    return [
        (unsafe, "CODEC_OIDC_ISSUER is not an https URL without query.", "codec.E012"),
        (algorithm not in ASYMMETRIC, "OIDC_RP_SIGN_ALGO is not an asymmetric signature.", "codec.E013"),
        ("openid" not in settings.OIDC_RP_SCOPES.split(), "CODEC_OIDC_SCOPES lacks openid.", "codec.E014"),
        (not getattr(settings, "OIDC_VERIFY_SSL", True), "OIDC_VERIFY_SSL is off.", "codec.E015"),
        (getattr(settings, "OIDC_ALLOW_UNSECURED_JWT", False), "OIDC_ALLOW_UNSECURED_JWT is on.", "codec.E016"),
        (not settings.OIDC_USE_PKCE, "OIDC_USE_PKCE is off.", "codec.E017"),
        (not getattr(settings, "OIDC_USE_NONCE", True), "OIDC_USE_NONCE is off.", "codec.E017"),
        (without_limit, "OIDC_TIMEOUT is not set: a silent provider would hold a thread for ever.", "codec.E018"),
    ]


@register()
def passwords_are_throttled(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.CODEC_LOCAL_PASSWORDS:
        return []
    throttled = getattr(settings, "AXES_ENABLED", True) and settings.AXES_FAILURE_LIMIT <= MOST_GUESSES
    if throttled and settings.AXES_LOCKOUT_PARAMETERS == [["username", "ip_address"]]:
        return []
    hint = "django-axes has to stand first in AUTHENTICATION_BACKENDS, count by name and address, and lock after few."
    return [Error("Guessing local passwords is not throttled.", hint=hint, id="codec.E019")]


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


@register()
def notices(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    webhook = urlsplit(settings.CODEC_WEBHOOK_URL)
    if not settings.CODEC_WEBHOOK_URL or webhook.scheme == "https":
        return []
    if webhook.scheme == "http" and webhook.hostname in LOOPBACK_HOSTS:
        return []
    hint = "Notices name people and say why they need access; and the address of a webhook is often its password."
    return [Error("CODEC_WEBHOOK_URL is not an https URL.", hint=hint, id="codec.E030")]


@register("security", deploy=True)
def mail_in_the_clear(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if not settings.EMAIL_HOST or encrypted or settings.EMAIL_HOST in LOOPBACK_HOSTS:
        return []
    hint = "Use smtp+starttls:// or smtps://."
    return [Warning("CODEC_EMAIL_URL sends mail, and its password, unencrypted.", hint=hint, id="codec.W030")]


@register("security", deploy=True)
def local_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    world_readable = Path(settings.CODEC_VAR).is_dir() and Path(settings.CODEC_VAR).stat().st_mode & 0o077
    if world_readable:
        hint = f"chmod 700 {settings.CODEC_VAR}"
        return [Warning("Others on this machine can look into CODEC_VAR.", hint=hint, id="codec.W001")]
    return []
