"""Proof that the person at the browser is still the one who signed in, wanted just before a dangerous act.

The vault asks for the password. Somebody who signed in elsewhere has none here. The door, which the vault cannot see,
knows about such people, and registers here how they sign in again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class SignInAgain:
    """Somebody can sign in again at `url`, or has `done` so minutes ago. Without a URL they cannot."""

    url: str
    done: bool


ways: list[Callable[[HttpRequest], SignInAgain | None]] = []


def elsewhere(request: HttpRequest) -> SignInAgain | None:
    """Return how the person signs in again; None when it is with the password that they have here."""
    return next((way for ask in ways if (way := ask(request))), None)
