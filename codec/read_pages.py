"""The Read page: paste or drop what Temporal holds, and see it decoded in place.

Its script takes a document apart in the browser and sends the payloads in parts, so that a large history needs neither
much memory here nor patience there. Without the script the form is sent whole, within the limits of one request.
"""

from http import HTTPStatus
from typing import Any

import orjson
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from codec import reading, standing, wire
from codec.authorization import Allowed, authorize_decode
from codec.callers import session
from codec.callers.principal import Principal
from codec.documents import Document
from codec.errors import CodecError, WrongMethod
from codec.grants import grants_in_force
from codec.http import answer, page_endpoint, read_body
from codec.limits import wire_limits
from codec.models import User

_PART_PAYLOADS = 500
_PART_BYTES = 1024 * 1024


class ReadForm(forms.Form):
    """A document, pasted or as a file, and the namespace whose keys it needs."""

    namespace = forms.ChoiceField()
    text = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}))
    file = forms.FileField(required=False)

    def __init__(self, *args: Any, names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["namespace"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        if bool(self.cleaned_data.get("text")) == bool(self.cleaned_data.get("file")):
            raise forms.ValidationError("Paste something or choose a file, one of both.")
        return self.cleaned_data

    def document(self) -> bytes:
        file = self.cleaned_data["file"]
        return bytes(file.read()) if file else self.cleaned_data["text"].encode()


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def read_page(request: HttpRequest) -> HttpResponse:
    names = _decodable(request)
    if request.method != "POST":
        return _page(request, ReadForm(names=names, initial={"namespace": request.GET.get("namespace")}))
    form = ReadForm(request.POST, request.FILES, names=names)
    if not form.is_valid():
        return _page(request, form, status=HTTPStatus.BAD_REQUEST)
    try:
        document = _decoded(request, form)
    except CodecError as error:
        form.add_error(None, error.detail)
        return _page(request, form, status=error.status)
    if "download" in request.POST:
        return HttpResponse(document.text(), headers=_DOWNLOAD)
    return _page(request, ReadForm(names=names, initial=form.cleaned_data | {"text": "", "file": None}), document)


_DOWNLOAD = {"Content-Type": "application/json", "Content-Disposition": 'attachment; filename="decoded.json"'}


@page_endpoint
def read_part(request: HttpRequest) -> HttpResponse:
    """Decode one part of a document: a body of the protocol, with X-Namespace, and X-Read from the part before."""
    if request.method != "POST":
        raise WrongMethod
    principal = session.authenticate(request)
    current = reading.follow(request.headers.get("X-Read"), principal)
    response = answer(lambda request: _part(request, current), request)
    response["X-Read"] = reading.ticket(current.next, principal)
    return response


def _part(request: HttpRequest, current: reading.Reading) -> HttpResponse:
    namespace = wire.read_namespace(request.headers.get("X-Namespace"), "", has_authorization=False)
    payloads = reading.read(request, current, namespace, lambda: _parse(read_body(request)))
    return HttpResponse(wire.write_payloads(payloads), content_type="application/json")


def _decoded(request: HttpRequest, form: ReadForm) -> Document:
    """Return the form's document with its payloads decoded. Raises CodecError."""
    document = Document(wire.parse_json(form.document(), wire_limits().max_separators))
    body = orjson.dumps({"payloads": document.payloads})
    payloads = reading.read(request, reading.begin(), form.cleaned_data["namespace"], lambda: _parse(body))
    document.fill([wire.to_readable(payload) for payload in payloads])
    return document


def _parse(body: bytes) -> Any:
    return wire.parse_payloads(body, limits=wire_limits(), refuse_unknown_fields=False)


def _decodable(request: HttpRequest) -> list[str]:
    """Return the namespaces in which the person may decode now."""
    assert isinstance(request.user, User)  # noqa: S101  login_required has seen to it
    principal = Principal(request.user.pk, request.user.username, "session")
    namespaces = dict.fromkeys(grant.namespace for grant in grants_in_force(request.user))
    return [each.name for each in namespaces if isinstance(standing.decide(authorize_decode, principal, each), Allowed)]


def _page(
    request: HttpRequest, form: ReadForm, document: Document | None = None, *, status: int = HTTPStatus.OK
) -> HttpResponse:
    context = {
        "form": form,
        "items": document.items() if document else None,
        "count": len(document.payloads) if document else 0,
        "part_payloads": min(_PART_PAYLOADS, settings.CODEC_MAX_PAYLOADS),
        "part_bytes": min(_PART_BYTES, settings.CODEC_MAX_BODY_BYTES // 2),
        "max_bytes": settings.CODEC_MAX_BODY_BYTES,
    }
    return render(request, "codec/read.html", context, status=status)
