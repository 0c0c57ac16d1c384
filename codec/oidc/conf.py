"""What single sign-on is set to, as its parts need it. The settings themselves: codecsite/settings.py."""

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY
from django.http import HttpRequest
from django.urls import reverse

BACKEND = "codec.oidc.backend.OidcBackend"
# It offers no way to ask a signed-in person for their password again: developers.google.com/identity/siwg
_CANNOT_ASK_AGAIN = frozenset({"https://accounts.google.com"})


def is_configured() -> bool:
    return bool(settings.CODEC_OIDC_ISSUER and settings.OIDC_RP_CLIENT_ID and settings.OIDC_RP_CLIENT_SECRET)


def issuer() -> str:
    return str(settings.CODEC_OIDC_ISSUER)


def redirect_uri() -> str:
    """Return where the provider sends people back to: from CODEC_PUBLIC_URL, never from a Host header."""
    return f"{settings.CODEC_PUBLIC_URL}{reverse(settings.OIDC_AUTHENTICATION_CALLBACK_URL)}"


def sign_in_url() -> str:
    """Return our sign-in page, as people and the provider know it."""
    return f"{settings.CODEC_PUBLIC_URL}{reverse('login')}"


def can_ask_again() -> bool:
    """False for a provider that cannot make a person sign in anew."""
    return issuer() not in _CANNOT_ASK_AGAIN


def came_in_by_sso(request: HttpRequest) -> bool:
    """True when the session of this request began at the provider, and not with a password here."""
    return bool(request.session.get(BACKEND_SESSION_KEY) == BACKEND)
