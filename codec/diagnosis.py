"""Why does Temporal's page not decode? The first thing that is wrong, as a value, from what its browser sent last.

A request passes six steps, and each cause is where one of them fails. Nothing here is asked of the network: the facts
come from codec.observations, the rest is what this server and the person at the page know anyway.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from urllib.parse import urlsplit

from codec.authorization import Verb
from codec.observations import Facts, Seen

_PATIENCE = 3.0  # seconds between a preflight and what it was asked for; a large body takes its time
_ONE_PAGE_LOAD = 1.5  # seconds; nobody repairs a setting and tries again within them
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Step(IntEnum):
    """What a request passes on its way, in order."""

    ARRIVED = 0
    ORIGIN = 1
    CREDENTIAL = 2
    CALLER = 3
    GRANT = 4
    ANSWER = 5


class Cause(StrEnum):
    """What is wrong first."""

    NOTHING_ARRIVED = "nothing_arrived"
    ANOTHER_ACCOUNT = "another_account"
    WRONG_PATH = "wrong_path"
    PLAIN_HTTP = "plain_http"
    NOTHING_FOLLOWED = "nothing_followed"
    UNDER_WAY = "under_way"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    HEADER_NOT_ALLOWED = "header_not_allowed"
    NO_NAMESPACE = "no_namespace"
    COOKIES_BLOCKED = "cookies_blocked"
    COOKIE_STAYS_ON_ITS_SITE = "cookie_stays_on_its_site"
    CREDENTIALS_OFF = "credentials_off"
    NOT_SIGNED_IN_THEN = "not_signed_in_then"
    SESSION_ENDED = "session_ended"
    TOKENS_NOT_ACCEPTED = "tokens_not_accepted"
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    NO_GRANT = "no_grant"
    TOKEN_LIMITED = "token_limited"  # noqa: S105
    GRANTED_SINCE = "granted_since"
    UNDECODABLE = "undecodable"
    REFUSED = "refused"
    WORKS = "works"


FAILS_AT: Mapping[Cause, Step] = {
    Cause.NOTHING_ARRIVED: Step.ARRIVED,
    Cause.ANOTHER_ACCOUNT: Step.ARRIVED,
    Cause.WRONG_PATH: Step.ARRIVED,
    Cause.PLAIN_HTTP: Step.ARRIVED,
    Cause.ORIGIN_NOT_ALLOWED: Step.ORIGIN,
    Cause.HEADER_NOT_ALLOWED: Step.ORIGIN,
    Cause.NOTHING_FOLLOWED: Step.CREDENTIAL,
    Cause.UNDER_WAY: Step.CREDENTIAL,
    Cause.NO_NAMESPACE: Step.CREDENTIAL,
    Cause.COOKIES_BLOCKED: Step.CREDENTIAL,
    Cause.COOKIE_STAYS_ON_ITS_SITE: Step.CREDENTIAL,
    Cause.CREDENTIALS_OFF: Step.CREDENTIAL,
    Cause.NOT_SIGNED_IN_THEN: Step.CREDENTIAL,
    Cause.SESSION_ENDED: Step.CALLER,
    Cause.TOKENS_NOT_ACCEPTED: Step.CALLER,
    Cause.TOKEN_REFUSED: Step.CALLER,
    Cause.NO_GRANT: Step.GRANT,
    Cause.TOKEN_LIMITED: Step.GRANT,
    Cause.GRANTED_SINCE: Step.GRANT,
    Cause.UNDECODABLE: Step.ANSWER,
    Cause.REFUSED: Step.ANSWER,
}


_NOT_WRONG = {Cause.WORKS, Cause.UNDER_WAY, Cause.NOTHING_FOLLOWED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The person at the Connect page. `may` says whether they have a right now; times are seconds since 1970."""

    signed_in_at: float
    may: Callable[[str, Verb], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What of this installation's settings decides about requests of pages."""

    public_url: str
    ui_origins: tuple[str, ...]
    allowed_headers: frozenset[str]
    cross_site_cookies: bool
    takes_tokens: bool

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong first, and the request it was seen at (None: there was none)."""

    cause: Cause
    seen: Seen | None = None

    @property
    def fails_at(self) -> Step | None:
        return FAILS_AT.get(self.cause)


def diagnose(seen: list[Seen], *, viewer: Viewer, server: Server, others: bool, now: float) -> Diagnosis:
    """Return what is wrong with the newest of `seen`, or with another that came together with it.

    `others`: somebody else's request came from a browser like this one.
    """
    if not seen:
        return Diagnosis(Cause.ANOTHER_ACCOUNT if others else Cause.NOTHING_ARRIVED)
    together = [each for each in seen if seen[0].last - each.last <= _ONE_PAGE_LOAD]
    diagnoses = [_diagnose_one(each, viewer, server, now) for each in together]
    first = next((each for each in diagnoses if each.cause not in _NOT_WRONG), diagnoses[0])
    return _ended(seen) or first if first.cause is Cause.NOT_SIGNED_IN_THEN else first


def _ended(seen: list[Seen]) -> Diagnosis | None:
    """The answer to the cookie of a session that is over deletes that cookie, so what follows comes without one."""
    ended = (each for each in seen if each.facts.reason == "session_ended")
    return next((Diagnosis(Cause.SESSION_ENDED, each) for each in ended), None)


def _diagnose_one(seen: Seen, viewer: Viewer, server: Server, now: float) -> Diagnosis:
    if seen.facts.preflight:
        return Diagnosis(_of_preflight(seen, server, now), seen)
    return Diagnosis(_of_request(seen, viewer, server), seen)


def _of_preflight(seen: Seen, server: Server, now: float) -> Cause:
    """A browser asks before it lets a page send. What it was told comes from CORS; it sends only if told yes."""
    facts = seen.facts
    if not facts.verb:
        return Cause.WRONG_PATH
    if facts.origin not in server.ui_origins:
        return Cause.ORIGIN_NOT_ALLOWED
    if refused_headers(facts, server):
        return Cause.HEADER_NOT_ALLOWED
    if server.https and not facts.secure:
        return Cause.PLAIN_HTTP
    return Cause.UNDER_WAY if now - seen.last < _PATIENCE else Cause.NOTHING_FOLLOWED


def _of_request(seen: Seen, viewer: Viewer, server: Server) -> Cause:
    reason, status = seen.facts.reason, seen.facts.status
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    if reason in {"no_credential", "cookies_blocked"}:
        return _without_cookie(seen, viewer, server)
    if status == 401 or reason.startswith("token_"):
        return Cause.TOKEN_REFUSED if server.takes_tokens else Cause.TOKENS_NOT_ACCEPTED
    if reason == "not_allowed" or status == 200:
        return _of_rights(seen.facts, viewer)
    return Cause.REFUSED


_BY_REASON = {
    "origin_refused": Cause.ORIGIN_NOT_ALLOWED,
    "https_required": Cause.PLAIN_HTTP,
    "namespace_missing": Cause.NO_NAMESPACE,
    "session_ended": Cause.SESSION_ENDED,
    "undecodable": Cause.UNDECODABLE,
}


def _without_cookie(seen: Seen, viewer: Viewer, server: Server) -> Cause:
    """Browsers send Sec-Fetch-Storage-Access with what may carry cookies across sites; not without credentials."""
    facts = seen.facts
    if facts.site == "cross-site" and not server.cross_site_cookies:
        return Cause.COOKIE_STAYS_ON_ITS_SITE  # whatever the browser lets through
    if facts.storage_access in {"none", "inactive"}:
        return Cause.COOKIES_BLOCKED
    if seen.last < viewer.signed_in_at:
        return Cause.NOT_SIGNED_IN_THEN
    return Cause.CREDENTIALS_OFF


def _of_rights(facts: Facts, viewer: Viewer) -> Cause:
    """The viewer's rights are those of now: what was refused may be granted since, and the other way round."""
    refused = facts.status != 200
    if not viewer.may(facts.namespace, _verb(facts)):
        return Cause.NO_GRANT if refused or facts.credential == "session" else Cause.WORKS
    if not refused:
        return Cause.WORKS
    return Cause.TOKEN_LIMITED if facts.credential == "token" else Cause.GRANTED_SINCE


def _verb(facts: Facts) -> Verb:
    return Verb.ENCODE if facts.verb == "encode" else Verb.DECODE


def refused_headers(facts: Facts, server: Server) -> list[str]:
    """Return the headers that the page would send and that CORS does not let it."""
    asked = [name.strip().lower() for name in facts.asked_headers.split(",") if name.strip()]
    return [name for name in asked if name not in server.allowed_headers]


def near_origin(origin: str, allowed: tuple[str, ...]) -> str | None:
    """Return the allowed origin that was probably meant: the same but for scheme, or another name of this machine."""
    return next((each for each in allowed if _place(each) == _place(origin)), None)


def is_other_name_of_this_machine(origin: str, public_url: str) -> bool:
    """True for localhost beside 127.0.0.1: the same machine, and two sites to a browser."""
    return origin != public_url and {_place(origin)[0], _place(public_url)[0]} == {"localhost"}


def _place(origin: str) -> tuple[str, int | None]:
    """Return host and port, every name of this machine as localhost."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return origin, None
    host = parts.hostname or origin
    return "localhost" if host in _LOOPBACK else host, port
