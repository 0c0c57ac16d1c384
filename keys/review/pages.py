"""The auditor's pages: the list of viewings, and one viewing with its records.

Each begins by recording that somebody looks, and brings the viewings up to the audit.
"""

from collections import Counter
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page as Leaf
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from keys.actor import current
from keys.audit_reading import Page, note_reading
from keys.models import AuditRecord, Namespace
from keys.review import reviews, viewings
from keys.review.activity import activity
from keys.review.models import Review, Viewing
from keys.review.reviews import MAX_NOTE, ReviewRefused, Verdict
from keys.review.selection import EVERY, STATUSES, SelectionForm, in_period, with_status
from keys.review.wording import Line, counted

LEAF = 25
RECORDS_LEAF = 100
MOST_NAMES = 1000
PATIENCE = 3.0  # seconds that a page spends on catching up with the audit
_MAY_REVIEW = "keys.review_viewing"


class VerdictForm(forms.Form):
    """What is said of the chosen viewings. The button that was pressed is the verdict."""

    verdict = forms.ChoiceField(choices=Verdict.choices)
    note = forms.CharField(required=False, max_length=MAX_NOTE)


# The list -------------------------------------------------------------------------------------------------------------


def list_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show viewings; on POST say what the form says of the chosen ones, and show the same list again."""
    note_reading(Page.VIEWINGS, actor=current())
    is_complete = viewings.refresh(seconds=PATIENCE)
    chosen, refusal = _chosen(request), ""
    if request.method == "POST":
        try:
            _review(request, chosen)
            return redirect(request.get_full_path())
        except ReviewRefused as error:
            refusal = str(error)
    form = SelectionForm(request.GET)
    form.is_valid()
    found, days = form.viewings(), form.days()
    numbers = _numbers(found)
    leaf = _leaf(request, _of_status(found, form.status_wanted), numbers[form.status_wanted])
    page = {
        "form": form,
        "tabs": _tabs(request, numbers, form.status_wanted),
        "leaf": leaf,
        "lines": _lines(leaf),
        "activity": activity(in_period(found, *days), *days),
        "namespaces": Namespace.objects.values_list("name", flat=True)[:MOST_NAMES],
        "people": Viewing.objects.order_by("actor_name").values_list("actor_name", flat=True).distinct()[:MOST_NAMES],
        "is_complete": is_complete,
        "chosen": chosen,
        "query": _query(request),
    }
    return TemplateResponse(request, "admin/keys/viewing/list.html", context | page | _saying(request, refusal))


def _chosen(request: HttpRequest) -> list[int]:
    return [int(pk) for pk in request.POST.getlist("viewing") if pk.isdecimal() and len(pk) < 19]


def _saying(request: HttpRequest, refusal: str) -> dict[str, Any]:
    """Return what the form that reviews shows."""
    may_review = request.user.has_perm(_MAY_REVIEW)
    return {"refusal": refusal, "note": request.POST.get("note", ""), "may_review": may_review, "verdicts": Verdict}


def _review(request: HttpRequest, chosen: list[int]) -> None:
    """Say of the chosen viewings what the form says. Raises PermissionDenied, ReviewRefused."""
    if not request.user.has_perm(_MAY_REVIEW):
        raise PermissionDenied
    form = VerdictForm(request.POST)
    if not form.is_valid():
        raise ReviewRefused(" ".join(str(error) for errors in form.errors.values() for error in errors))
    verdict = Verdict(form.cleaned_data["verdict"])
    number = reviews.review(chosen, verdict, note=form.cleaned_data["note"], actor=current())
    done = "reviewed" if verdict is Verdict.REVIEWED else "marked for follow-up"
    messages.success(request, f"{counted(number, 'viewing')} {done}.")


def _of_status(found: QuerySet[Viewing], status: str) -> QuerySet[Viewing]:
    return with_status(found, status).select_related("review").prefetch_related("marks")


def _lines(leaf: Leaf[Viewing]) -> list[Line]:
    own, now = reviews.own_ids(current().id), timezone.now()
    return [Line.of(viewing, own=own, now=now) for viewing in leaf]


def _numbers(found: QuerySet[Viewing]) -> Counter[str]:
    """Return how many viewings of each status the other filters find."""
    numbers = Counter(dict(found.order_by().values_list("status").annotate(Count("pk"))))
    return numbers + Counter({EVERY: numbers.total()})


def _leaf(request: HttpRequest, found: QuerySet[Viewing], number: int) -> Leaf[Viewing]:
    paginator = Paginator(found, LEAF)
    paginator.count = number  # known already: counting once more is what takes longest
    return paginator.get_page(request.GET.get("page"))


def _tabs(request: HttpRequest, numbers: Counter[str], wanted: str) -> list[dict[str, Any]]:
    """Return the statuses, each with its number and where it leads."""
    return [
        {
            "label": label,
            "number": numbers[status],
            "is_current": status == wanted,
            "query": _query(request, status=status),
        }
        for status, label in STATUSES
    ]


def _query(request: HttpRequest, **changed: str) -> str:
    """Return the query string with these values in place of its own, at the first page again."""
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in changed.items():
        query[name] = value
    return query.urlencode()


# One viewing ----------------------------------------------------------------------------------------------------------


def viewing_page(request: HttpRequest, pk: int, context: dict[str, Any]) -> HttpResponse:
    """Show a viewing with its marks, reviews and audit records; on POST review it."""
    note_reading(Page.VIEWINGS, actor=current())
    viewings.refresh(seconds=PATIENCE)
    viewing = get_object_or_404(Viewing.objects.select_related("review").prefetch_related("marks"), pk=pk)
    refusal = ""
    if request.method == "POST":
        try:
            _review(request, [viewing.pk])
            return redirect("admin:keys_viewing_change", viewing.pk)
        except ReviewRefused as error:
            refusal = str(error)
    line = Line.of(viewing, own=reviews.own_ids(current().id), now=timezone.now())
    page = {
        "line": line,
        "title": str(line),
        "reviews": Review.objects.filter(viewing_event_id=viewing.first_event_id),
        "leaf": Paginator(records_of(viewing), RECORDS_LEAF).get_page(request.GET.get("page")),
    }
    return TemplateResponse(request, "admin/keys/viewing/one.html", context | page | _saying(request, refusal))


def records_of(viewing: Viewing) -> QuerySet[AuditRecord]:
    """Return the audit records that the viewing sums up, in the order of time."""
    kind_and_name = f"{viewing.actor_kind} {viewing.actor_name}"
    actor_id = "" if viewing.actor_id == kind_and_name else viewing.actor_id
    records = AuditRecord.objects.filter(
        actor_kind=viewing.actor_kind,
        actor_id=actor_id,
        namespace=viewing.namespace,
        credential=viewing.credential,
        at__gte=viewing.started_at,
        at__lte=viewing.ended_at,
        action__startswith="payload:",
    )
    return records.order_by("at", "pk")
