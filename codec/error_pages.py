"""Errors that Django itself answers: problem+json for clients of the protocol, a page for people."""

import re
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from codec.errors import CodecError
from codec.http import problem, seal

_CODEC_PATH = re.compile(settings.CODEC_PATH)


class _BadRequest(CodecError):
    code = "bad_request"
    detail = "The request cannot be understood."


class _NotFound(CodecError):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    detail = "There is no such endpoint. The codec endpoint's URL must end in /decode, /encode or /download."


class _Forbidden(CodecError):
    status = HTTPStatus.FORBIDDEN
    code = "forbidden"
    detail = "This server refuses that request."


class _Broken(CodecError):
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"
    detail = "The codec server made a mistake. Nothing was decoded."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, _BadRequest())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, _NotFound())


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, _Forbidden())


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, _Broken())


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or stale: most often a page left open since before signing in."""
    return render(request, "codec/error.html", {"error": "csrf"}, status=403)


def _answer(request: HttpRequest, error: CodecError) -> HttpResponse:
    if _wants_page(request):
        context: dict[str, Any] = {"error": error.code, "request_id": request.META.get("REQUEST_ID", "")}
        return render(request, "codec/error.html", context, status=error.status)
    return seal(problem(request, error))


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not _CODEC_PATH.match(request.path_info)
