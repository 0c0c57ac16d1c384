"""What browsers lately sent to the codec endpoints, for the Connect page of whoever sits at such a browser.

Kept in this process's memory: by address and User-Agent, for 15 minutes, in bounded number, equal requests counted.
There are facts about headers in it and never a credential, a cookie's value, a body or a query. A request whose
caller was known is shown to that caller alone; others at the same address learn no more than that it came.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from codec.request_facts import client_address

KEPT_SECONDS = 15 * 60
VERBS = frozenset({"decode", "encode", "download"})

_MAX_BROWSERS = 1000
_MAX_CALLERS = 8
_MAX_FACTS = 12
_MAX_TEXT = 128
_HEADERS = (  # of the first fields of Facts, in their order
    "HTTP_ORIGIN",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_STORAGE_ACCESS",
    "HTTP_X_NAMESPACE",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
)


class Browser(NamedTuple):
    """As near as a server comes to telling browsers apart without leaving a mark in them."""

    address: str
    user_agent: str


class Facts(NamedTuple):
    """What one request said, and what came of it. Text is the client's own, cut to 128 characters.

    `verb` is empty for a path that is no codec endpoint, and only then `path` is kept. `credential` is what decided:
    "session", "jwt", "token", or the name of the header that came, or empty. `reason` is an error's public code,
    or for credentials that failed, which way. `asked_headers` is what a preflight asked for.
    """

    origin: str
    site: str
    storage_access: str
    namespace: str
    asked_headers: str
    preflight: bool
    verb: str
    path: str
    secure: bool
    cookie: bool
    credential: str
    status: int
    reason: str


@dataclass(slots=True)
class Tally:
    """How many equal requests came, and when the last of them."""

    times: int = 0
    last: float = 0.0

    def count(self, now: float) -> None:
        self.times += 1
        self.last = now


class Seen(NamedTuple):
    """Equal requests: what they said, how many, and when the last of them came (seconds since 1970)."""

    facts: Facts
    times: int
    last: float


_Requests = OrderedDict[Facts, Tally]
_Callers = OrderedDict[int | None, _Requests]


class Observations:
    """The store. Safe to use from any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._browsers: OrderedDict[Browser, _Callers] = OrderedDict()
        self._lock = Lock()

    def note(self, browser: Browser, user_id: int | None, facts: Facts) -> Tally:
        """Keep that this came. What has not been heard of for longest makes room."""
        with self._lock:
            if browser not in self._browsers:
                self._forget_old()
            callers = _latest(self._browsers, browser, _MAX_BROWSERS)
            known = _latest(callers, user_id, _MAX_CALLERS)
            tally: Tally = _latest(known, facts, _MAX_FACTS, Tally)
            tally.count(self._clock())
            return tally

    def recall(self, browser: Browser, user_id: int) -> list[Seen]:
        """Return what came from this browser and was this caller's or nobody's, newest first."""
        with self._lock:
            callers = self._browsers.get(browser, _Callers())
            seen = [
                Seen(facts, tally.times, tally.last)
                for who in (user_id, None)
                for facts, tally in callers.get(who, _Requests()).items()
            ]
        return sorted((each for each in seen if self._is_recent(each.last)), key=lambda each: each.last, reverse=True)

    def others(self, browser: Browser, user_id: int) -> bool:
        """Return whether somebody else's request came from a browser like this one, at the same address."""
        with self._lock:
            callers = self._browsers.get(browser, _Callers())
            last = [
                tally.last for who, known in callers.items() if who not in {user_id, None} for tally in known.values()
            ]
        return any(map(self._is_recent, last))

    def clear(self) -> None:
        with self._lock:
            self._browsers.clear()

    def _forget_old(self) -> None:
        while self._browsers and not self._is_recent(_newest(next(iter(self._browsers.values())))):
            self._browsers.popitem(last=False)

    def _is_recent(self, moment: float) -> bool:
        return self._clock() - moment <= KEPT_SECONDS


observations = Observations()


def browser_of(request: HttpRequest) -> Browser:
    return Browser(client_address(request), request.META.get("HTTP_USER_AGENT", "")[:_MAX_TEXT])


def is_of_interest(request: HttpRequest) -> bool:
    """True for codec endpoints, and for what a browser asks before a page of another origin calls anything else."""
    return _verb(request) != "" or _is_preflight(request)


def observe(request: HttpRequest, response: HttpResponse) -> None:
    """Keep what `request` said and how it was answered: about 5 microseconds."""
    caller = request.META.get("codec.caller")
    facts = _facts(request, response.status_code, caller.credential.partition(" ")[0] if caller else "")
    tally = observations.note(browser_of(request), caller.user_id if caller else None, facts)
    request.META.get("asgi.scope", {})["codec.tally"] = tally  # the front layer counts equal requests in it


def _facts(request: HttpRequest, status: int, credential: str) -> Facts:
    meta, verb = request.META, _verb(request)
    return Facts._make(
        [
            *[meta.get(name, "")[:_MAX_TEXT] for name in _HEADERS],
            _is_preflight(request),
            verb,
            "" if verb else request.path_info[:_MAX_TEXT],
            request.is_secure(),
            f"{settings.SESSION_COOKIE_NAME}=" in meta.get("HTTP_COOKIE", ""),
            credential or _shown(meta),
            status,
            meta.get("codec.reason", ""),
        ]
    )


def _verb(request: HttpRequest) -> str:
    last = request.path_info.rpartition("/")[2]
    return last if last in VERBS else ""


def _is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META


def _shown(meta: Mapping[str, Any]) -> str:
    """Return the header in which a credential came that nobody has accepted."""
    if "HTTP_AUTHORIZATION" in meta:
        return "Authorization"
    return "Authorization-Extras" if "HTTP_AUTHORIZATION_EXTRAS" in meta else ""


def _latest(entries: OrderedDict[Any, Any], key: Any, limit: int, make: Callable[[], Any] = OrderedDict) -> Any:
    """Return the entry of `key`, made when missing, now the newest; the oldest goes when there are too many."""
    entry = entries.get(key)
    if entry is None:
        entry = entries[key] = make()
        if len(entries) > limit:
            entries.popitem(last=False)
    entries.move_to_end(key)
    return entry


def _newest(callers: _Callers) -> float:
    return max(tally.last for known in callers.values() for tally in known.values())
