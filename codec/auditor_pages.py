"""Two pages of the administration for auditors: who has seen this, and the export."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from codec.auditor_forms import ExportForm, SearchForm
from codec.who_saw import Answer, Kind, Sighting, who_saw
from keys import audit_export, checkpoints
from keys.actor import current
from keys.audit_formats import Format
from keys.models import AuditChain, AuditRecord, Namespace
from keys.review import viewings
from keys.review.lookup import viewing_of

PATIENCE = 3.0  # seconds that a page spends on catching up with the audit
ROWS = 200
PLACES = 3

Page = Callable[[HttpRequest, dict[str, Any]], HttpResponseBase]


def urls(site: AdminSite) -> list[URLPattern]:
    """Return the paths of both pages, for people who may view audit records."""

    def for_auditors(page: Page) -> Any:
        def view(request: HttpRequest) -> HttpResponseBase:
            if not request.user.has_perm("keys.view_auditrecord"):
                raise PermissionDenied
            context = {**site.each_context(request), "opts": AuditRecord._meta}
            return page(request, context | {"namespaces": Namespace.objects.values_list("name", flat=True)[:1000]})

        return site.admin_view(view)

    return [
        path("keys/auditrecord/who-saw/", for_auditors(search_page), name="keys_auditrecord_who_saw"),
        path("keys/auditrecord/export/", for_auditors(export_page), name="keys_auditrecord_export"),
    ]


def search_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    """Take payloads; on POST say who has seen them."""
    form = SearchForm(request.POST or None, request.FILES or None)
    page: dict[str, Any] = {"form": form, "title": "Who has seen this?"}
    if request.method == "POST" and form.is_valid():
        found, namespace = form.found, form.cleaned_data["namespace"]
        answer = who_saw(found.payloads, namespace=namespace or None, actor=current())
        page |= _told(answer, found.places)
        page |= {"searched_in": namespace, "form": SearchForm(initial={"namespace": namespace})}
    return TemplateResponse(request, "admin/keys/auditrecord/who_saw.html", context | page)


def _told(answer: Answer, places: list[str]) -> dict[str, Any]:
    viewings.refresh(seconds=PATIENCE)
    return {
        "answer": answer,
        "shown": len(set().union(*(person.payloads for person in answer.people))),
        "counts": {kind.name.lower(): answer.kinds.count(kind) for kind in Kind},
        "rows": [_row(sighting, places) for sighting in answer.sightings[:ROWS]],
        "left_out": max(0, answer.requests - ROWS),
        "has_retired": AuditChain.objects.filter(floor_sequence__gt=0).exists(),
        "oldest": AuditRecord.objects.order_by("pk").values_list("at", flat=True).first(),
    }


def _row(sighting: Sighting, places: list[str]) -> dict[str, Any]:
    return {
        "record": sighting.record,
        "was_shown": sighting.was_shown,
        "viewing": viewing_of(sighting.record),
        "places": [places[number - 1] for number in sighting.payloads[:PLACES]],
        "more_places": max(0, len(sighting.payloads) - PLACES),
    }


def export_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    """Ask which records, and in which form; on POST send them."""
    form = ExportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _download(form)
    page = {"form": form, "title": "Export the audit", "public_key": checkpoints.public_key()}
    return TemplateResponse(request, "admin/keys/auditrecord/export.html", context | page)


def _download(form: ExportForm) -> StreamingHttpResponse:
    pieces = audit_export.download(form.selection(), Format(form.cleaned_data["format"]), actor=current())
    name = f"audit-{form.cleaned_data['since']}-{form.cleaned_data['until']}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)
