"""Middleware of the door: refuse what intake found wrong, say who acts, and keep in mind what browsers sent."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from codec import observations, refusals, request_facts
from codec.errors import BadTransport, BodyTooSlow, CodecError, Unavailable
from codec.http import problem, seal
from keys import actor

GetResponse = Callable[[HttpRequest], HttpResponse]

TRANSPORT_ERRORS: dict[str, type[CodecError]] = {
    "bad_headers": BadTransport,
    "body_too_slow": BodyTooSlow,
    "busy": Unavailable,
    "audit_unavailable": Unavailable,
}


def refuse_bad_transport(get_response: GetResponse) -> GetResponse:
    """Answer a request that codecsite.intake has marked as refused; it stands after CORS, so the UI can read it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        refusal = request.META.get("asgi.scope", {}).get("codec.refusal")
        if refusal is None:
            return get_response(request)
        error = TRANSPORT_ERRORS[refusal]()
        refusals.count(request, error.reason)
        return seal(problem(request, error))

    return middleware


def audit_actor(get_response: GetResponse) -> GetResponse:
    """Tell keys.actor who acts, for the writers of audit records that are not told. Asked only when one writes."""

    def middleware(request: HttpRequest) -> HttpResponse:
        actor.set_current(lambda: request_facts.person(request))
        try:
            return get_response(request)
        finally:
            actor.set_current(None)

    return middleware


def observe_browsers(get_response: GetResponse) -> GetResponse:
    """Keep what came to the codec endpoints, for the Connect page. Outside of CORS, which answers preflights itself."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if observations.is_of_interest(request):
            observations.observe(request, response)
        return response

    return middleware
