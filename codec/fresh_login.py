"""Has the person at this browser proved, just now, that it is them? Asked before dangerous acts.

Who signed in with a password is asked for it again by the form of the act. Who signed in at the provider has none
here, and is sent there to sign in anew (`prompt=login`); the provider's `auth_time` shows that they did.
"""

import time
from typing import Any

from django.contrib.auth import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from codec.oidc import conf
from keys.fresh_login import SignInAgain

SECONDS = 300
_NAME = "fresh_login_at"


def mark(request: HttpRequest) -> None:
    """Say that the person of this session has just signed in."""
    request.session[_NAME] = time.time()


def is_fresh(request: HttpRequest, seconds: int = SECONDS) -> bool:
    """True if the person of this session has signed in, or signed in again, within the last `seconds`."""
    return time.time() - float(request.session.get(_NAME, 0)) <= seconds


def at_the_provider(request: HttpRequest) -> SignInAgain | None:
    """Return how the person of this session signs in again at the provider; None for one with a password here."""
    if not conf.came_in_by_sso(request):
        return None
    query = urlencode({"again": "1", "next": request.get_full_path()})
    return SignInAgain(url=f"{reverse('sso')}?{query}" if conf.can_ask_again() else "", done=is_fresh(request))


@receiver(user_logged_in)
def mark_password_sign_in(request: HttpRequest, **kwargs: Any) -> None:
    if not conf.came_in_by_sso(request):
        mark(request)
