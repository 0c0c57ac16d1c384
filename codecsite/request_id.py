"""A number for every request: in its log lines, its audit record and its error answer."""

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from codecsite import logs


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.META["REQUEST_ID"] = uuid.uuid4().hex
        logs.request_id.set(request.META["REQUEST_ID"])
        response = get_response(request)
        response["X-Request-ID"] = request.META["REQUEST_ID"]
        return response

    return middleware
