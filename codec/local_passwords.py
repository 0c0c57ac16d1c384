"""Passwords of this server, for small teams and for the day on which the provider is away: guessing them is throttled.

django-axes counts wrong ones by (name, address). The fifth locks that name, for that address, for 15 minutes: a
stranger cannot lock people out from elsewhere. These are the functions that its settings name, and the form.
"""

import hashlib
import ipaddress
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from codec.request_facts import client_address

LOCKED = "Too many wrong passwords. Sign-in is locked for this name from your address; try again in 15 minutes."
_IPV6_NETWORK_BITS = 64  # what one customer has, and can choose addresses from


class SignInForm(AuthenticationForm):
    """Django's, which says so when the name is locked."""

    def get_invalid_login_error(self) -> ValidationError:
        if self.request is not None and is_locked(self.request):
            return ValidationError(LOCKED, code="locked")
        return super().get_invalid_login_error()


def is_locked(request: HttpRequest) -> bool:
    """True if this request's password was not looked at, or was the last that will be."""
    return bool(getattr(request, "axes_locked_out", False))


def locked_answer(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """Return the page that asked for the password, which says what happened, with status 429 (Too Many Requests)."""
    response.status_code = 429
    return response


def counted_address(request: HttpRequest) -> str | None:
    """Return the address to count by, as the outermost trusted proxy saw it; of IPv6 its network."""
    try:
        address = ipaddress.ip_address(client_address(request))
    except ValueError:  # a proxy that sends something else
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False).network_address)


def counted_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Return a digest of the name as typed: people type passwords into that field, and the counts are in a table."""
    name = (credentials or {}).get("username") or ""
    return hashlib.sha256(str(name).encode()).hexdigest()


def is_without_password(request: HttpRequest, credentials: dict[str, Any] | None) -> bool:
    """True for sign-ins that no password decides: those at the provider are not counted."""
    return "password" not in (credentials or {}) or (credentials or {})["password"] is None
