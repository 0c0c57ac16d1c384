"""The Connect page: what to enter where, and below it what Temporal's page last sent from this browser's address."""

import ipaddress
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from codec import connect, standing
from codec.authorization import Allowed, Verb, authorize_decode, authorize_encode
from codec.callers.principal import Principal
from codec.diagnosis import Cause, Diagnosis, Server, Step, Viewer, diagnose
from codec.explanations import explain
from codec.grants import grants_in_force
from codec.models import User
from codec.observations import Facts, Seen, browser_of, observations
from keys.models import Namespace

STEPS = {
    Step.ARRIVED: "It reached this server",
    Step.ORIGIN: "Its origin may call",
    Step.CREDENTIAL: "It carried a credential",
    Step.CALLER: "The credential is valid",
    Step.GRANT: "You have a grant",
    Step.ANSWER: "It was answered",
}


_TONES = {  # where nothing has to be repaired
    Cause.WORKS: "good",
    Cause.NOTHING_ARRIVED: "idle",
    Cause.UNDER_WAY: "idle",
    Cause.NOT_SIGNED_IN_THEN: "idle",
    Cause.SESSION_ENDED: "idle",
    Cause.GRANTED_SINCE: "idle",
}


@dataclass(frozen=True, slots=True)
class Passed:
    """One step on the way: passed ("good"), failed ("bad") or not reached ("open"). `note` is what was seen there."""

    name: str
    state: str
    note: str


@never_cache
@login_required
@require_safe
def connect_page(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    names = list(dict.fromkeys(grant.namespace.name for grant in grants_in_force(user)))
    chosen = request.GET.get("namespace", "")
    namespace = chosen if chosen in names else (names[0] if names else "")
    context = {
        "names": names,
        "namespace": namespace,
        "not_yours": chosen and chosen not in names,
        "way": connect.way(),
        "snippets": connect.snippets(namespace),
        "watching": "watch" in request.GET,
        **_seen(request, user),
    }
    return render(request, "codec/connect.html", context)


@never_cache
@require_safe
def connect_seen(request: HttpRequest) -> HttpResponse:
    """Answer the script of the Connect page, every two seconds: the part of the page that changes, as HTML."""
    if not request.user.is_authenticated:
        return JsonResponse({"title": "You are signed out"}, status=401)
    context = _seen(request, _user(request))
    html = render_to_string("codec/connect/seen.html", context, request=request)
    return JsonResponse({"cause": context["cause"], "title": context["explanation"].title, "html": html})


def _seen(request: HttpRequest, user: User) -> dict[str, Any]:
    browser = browser_of(request)
    seen, server = observations.recall(browser, user.pk), _server()
    others = observations.others(browser, user.pk)
    diagnosis = diagnose(seen, viewer=_viewer(user), server=server, others=others, now=time.time())
    return {
        "cause": diagnosis.cause.value,
        "tone": _TONES.get(diagnosis.cause, "bad"),
        "explanation": explain(diagnosis, server),
        "steps": _steps(diagnosis, user),
        "at": _moment(diagnosis.seen) if diagnosis.seen else None,
        "arrivals": [(each, _moment(each), _status(each.facts)) for each in seen],
        "hindrances": diagnosis.seen is None,
        "privately": _is_private(browser.address),
        "way": connect.way(),
    }


def _viewer(user: User) -> Viewer:
    principal = Principal(user.pk, user.username, "session")
    decide = {Verb.DECODE: authorize_decode, Verb.ENCODE: authorize_encode}

    def may(name: str, verb: Verb) -> bool:
        namespace = Namespace.objects.filter(name=name).first()
        return isinstance(standing.decide(decide[verb], principal, namespace), Allowed)

    return Viewer(signed_in_at=user.last_login.timestamp() if user.last_login else 0.0, may=may)


def _server() -> Server:
    return Server(
        public_url=settings.CODEC_PUBLIC_URL,
        ui_origins=tuple(settings.CODEC_UI_ORIGINS),
        allowed_headers=frozenset(settings.CORS_ALLOW_HEADERS),
        cross_site_cookies=settings.SESSION_COOKIE_SAMESITE == "None",
        takes_tokens=bool(settings.CODEC_TOKEN_ISSUERS),
    )


def _steps(diagnosis: Diagnosis, user: User) -> list[Passed]:
    """Return the way of the request that was diagnosed, as far as it came."""
    if diagnosis.seen is None:
        return []
    end, notes = diagnosis.fails_at, _notes(diagnosis.seen, user)
    reached = [step for step in STEPS if end is None or step <= end]
    return [Passed(name, _state(step, end), notes[step] if step in reached else "") for step, name in STEPS.items()]


def _state(step: Step, end: Step | None) -> str:
    if end is None or step < end:
        return "good"
    return "bad" if step == end else "open"


def _notes(seen: Seen, user: User) -> dict[Step, str]:
    facts = seen.facts
    return {
        Step.ARRIVED: f"{'OPTIONS' if facts.preflight else 'POST'} {facts.path or '…/' + facts.verb}",
        Step.ORIGIN: facts.origin or "no Origin header",
        Step.CREDENTIAL: _credential_note(facts),
        Step.CALLER: _caller_note(facts, user),
        Step.GRANT: f"{user.get_username()} on {facts.namespace}",
        Step.ANSWER: _status(facts),
    }


def _credential_note(facts: Facts) -> str:
    if facts.preflight:
        return "the request itself has not come"
    came = [name for name, there in [("cookie", facts.cookie), (facts.credential, "Auth" in facts.credential)] if there]
    storage = f"Sec-Fetch-Storage-Access: {facts.storage_access}" if facts.storage_access else ""
    return ", ".join(filter(None, [" and ".join(came) or _credential_name(facts) or "no cookie, no token", storage]))


def _caller_note(facts: Facts, user: User) -> str:
    name = _credential_name(facts)
    return f"{name} of {user.get_username()}" if name else facts.reason.replace("_", " ")


def _credential_name(facts: Facts) -> str:
    return {"session": "session cookie", "jwt": "access token", "token": "personal token"}.get(facts.credential, "")


def _moment(seen: Seen) -> datetime:
    return datetime.fromtimestamp(seen.last, UTC)


def _status(facts: Facts) -> str:
    return f"{facts.status} {HTTPStatus(facts.status).phrase}"


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  who is signed in is one of ours
    return request.user
