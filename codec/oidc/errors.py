"""How a sign-in at the provider can fail, one class for each thing that the person can do about it.

`reason` goes to the audit record and stands on the page, as a code to quote. `page` selects the page's sentences
(templates/codec/sso_failed.html), `facts` are what those mention.
"""

from http import HTTPStatus


class SignInFailed(Exception):
    """Base. Raise one of the subclasses."""

    status = HTTPStatus.BAD_REQUEST
    page = ""
    reason = ""

    def __init__(self, reason: str | None = None, **facts: str) -> None:
        self.reason = reason or self.reason
        self.facts = facts
        super().__init__(self.reason)


class AttemptUnknown(SignInFailed):
    """The answer belongs to no sign-in that this browser has begun: used before, too old, or begun elsewhere."""

    page = reason = "attempt_unknown"


class ProviderRefused(SignInFailed):
    """The provider sent the person back with an error: they cancelled, or it does not let them in."""

    status = HTTPStatus.FORBIDDEN
    page = reason = "provider_refused"


class ProviderAway(SignInFailed):
    """A part of the provider does not answer, or not as it should: discovery, keys, token or userinfo endpoint."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    page = reason = "provider_away"


class AnswerRefused(SignInFailed):
    """What the provider says about the person does not hold: a forged, expired or misdirected ID token, for example."""

    page = reason = "answer_refused"


class PersonUnknown(SignInFailed):
    """The provider knows the person; we do not."""

    status = HTTPStatus.FORBIDDEN
    page = reason = "person_unknown"


class PersonDisabled(SignInFailed):
    """Their account here is switched off."""

    status = HTTPStatus.FORBIDDEN
    page = reason = "person_disabled"


class NotFresh(SignInFailed):
    """The provider was asked to make the person sign in anew, and does not show that it has."""

    status = HTTPStatus.FORBIDDEN
    page = reason = "not_fresh"


class AnotherPerson(SignInFailed):
    """Asked to sign in anew, somebody else signed in."""

    status = HTTPStatus.FORBIDDEN
    page = reason = "another_person"
