"""The codec protocol over HTTP: read, authenticate, call the use case, write. Nothing else."""

from django.http import HttpRequest, HttpResponse
from temporalio.api.common.v1 import Payload

from codec import callers, request_facts, wire
from codec.authorization import Allowed
from codec.codec_call import CodecCall, decide
from codec.decoding import decode_payloads
from codec.downloading import download_payloads
from codec.encoding import encode_payloads
from codec.http import codec_endpoint, read_body
from codec.limits import wire_limits
from codec.permission import Permission
from keys import epoch
from keys.models import Namespace


@codec_endpoint
def decode(request: HttpRequest) -> HttpResponse:
    readable = request.GET.get("readable", "").lower() == "true"
    payloads = decide(decode_payloads, lambda: _read_call(request, readable=readable))
    return _answer(wire.write_readable(payloads) if readable else wire.write_payloads(payloads))


@codec_endpoint
def encode(request: HttpRequest) -> HttpResponse:
    payloads = decide(encode_payloads, lambda: _read_call(request, encodes=True))
    return _answer(wire.write_payloads(payloads))


@codec_endpoint
def download(request: HttpRequest) -> HttpResponse:
    return _answer(wire.write_payloads(decide(download_payloads, lambda: _read_call(request))))


def _read_call(request: HttpRequest, *, encodes: bool = False, readable: bool = False) -> CodecCall:
    bearer = callers.in_bearer_mode(request)
    namespace = wire.read_namespace(request.headers.get("X-Namespace"), request.path_info, has_authorization=bearer)
    number = epoch.read()
    principal = request.META["codec.caller"] = callers.authenticate(request)
    actor = request_facts.caller(request, principal)

    def read() -> list[Payload]:
        body = read_body(request)
        return wire.parse_payloads(body, limits=wire_limits(), refuse_unknown_fields=encodes)

    def permitted(namespace: Namespace, allowed: Allowed) -> None:
        request.META.get("asgi.scope", {})["codec.permission"] = Permission(
            epoch=number,
            principal=principal,
            actor=actor,
            namespace=namespace,
            allowed=allowed,
            encodes=encodes,
            readable=readable,
        )

    return CodecCall(
        epoch=number,
        principal=principal,
        actor=actor,
        namespace=namespace,
        read=read,
        permitted=permitted,
    )


def _answer(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json")
