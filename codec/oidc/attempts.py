"""A sign-in that a browser has begun: what mozilla-django-oidc keeps of it in the session, and what we add to it.

The library keeps nonce and PKCE verifier under the `state` that goes to the provider and comes back, and uses each
state once. We add where the person wants to go, so that several tabs do not mix that up, and let a state grow old.
"""

import time
from dataclasses import dataclass

from django.http import HttpRequest

from codec.oidc.errors import AttemptUnknown

LIFETIME_SECONDS = 600
_STATES = "oidc_states"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`next` is a target that codec.return_to has passed, or empty; `again` means a person already signed in."""

    started_at: float
    next: str
    again: bool


def remember(request: HttpRequest, state: str, *, next: str, again: bool) -> None:
    """Add to the attempt that the library has just put into the session. One that leads to nothing is soon deleted."""
    request.session[_STATES][state] |= {"next": next, "again": again}
    request.session.modified = True
    if not request.user.is_authenticated:
        request.session.set_expiry(LIFETIME_SECONDS)


def find(request: HttpRequest) -> Attempt:
    """Return the attempt that the provider's answer belongs to. Raises AttemptUnknown."""
    kept = request.session.get(_STATES, {}).get(request.GET.get("state", ""))
    if kept is None or time.time() - kept["added_on"] > LIFETIME_SECONDS:
        raise AttemptUnknown
    return Attempt(kept["added_on"], kept.get("next", ""), kept.get("again", False))


def forget(request: HttpRequest) -> None:
    """Let the state of this answer be used no more."""
    request.session[_STATES].pop(request.GET.get("state", ""), None)
    request.session.modified = True
