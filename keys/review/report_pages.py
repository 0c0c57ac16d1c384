"""The report of a period: a page to print, and a file for spreadsheets."""

from datetime import date, timedelta
from typing import Any

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from keys.actor import current
from keys.audit_reading import Page, note_reading
from keys.models import AuditChain
from keys.review import viewings
from keys.review.pages import PATIENCE
from keys.review.report import LATE, make_report, report_file
from keys.review.selection import PeriodForm


def report_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the figures of a period, to be read and printed."""
    reading = note_reading(Page.REPORT, actor=current())
    is_complete = viewings.refresh(seconds=PATIENCE)
    form = PeriodForm(request.GET)
    form.is_valid()
    since, until = form.days()
    page = {
        "form": form,
        "periods": _periods(timezone.now().date()),
        "report": make_report(since, until),
        "is_complete": is_complete,
        "late_days": LATE.days,
        "reading": reading,
        "audit": AuditChain.objects.aggregate(chains=Count("pk"), records=Sum("sequence")),
        "title": "Review of the audit",
    }
    return TemplateResponse(request, "admin/keys/viewing/report.html", context | page)


def _periods(today: date) -> dict[str, tuple[date, date]]:
    """Return the periods that people ask for most."""
    this_month = today.replace(day=1)
    last_month = this_month - timedelta(days=1)
    return {
        "This month": (this_month, today),
        "Last month": (last_month.replace(day=1), last_month),
        "Last 90 days": (today - timedelta(days=89), today),
        "This year": (today.replace(month=1, day=1), today),
    }


def report_download(request: HttpRequest) -> StreamingHttpResponse:
    """Send the viewings of a period as CSV, line by line."""
    note_reading(Page.REPORT_FILE, actor=current())
    viewings.refresh(seconds=PATIENCE)
    form = PeriodForm(request.GET)
    form.is_valid()
    since, until = form.days()
    disposition = {"Content-Disposition": f'attachment; filename="viewings-{since}-{until}.csv"'}
    return StreamingHttpResponse(report_file(since, until), content_type="text/csv; charset=utf-8", headers=disposition)
