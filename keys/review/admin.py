"""Where the auditor's pages stand in the admin, and who may open them."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

from keys.admin_pages import ReadOnlyAdmin
from keys.review import pages, report_pages
from keys.review.models import Viewing


@admin.register(Viewing)
class ViewingAdmin(ReadOnlyAdmin[Viewing]):
    """Every page needs the permission to view viewings; reviewing needs one of its own (keys/review/pages.py)."""

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view
        return [
            path("", page(self.changelist_view), name="keys_viewing_changelist"),
            path("<int:pk>/change/", page(self.one), name="keys_viewing_change"),
            path("report/", page(self.report), name="keys_viewing_report"),
            path("report.csv", page(self.report_file), name="keys_viewing_report_file"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return pages.list_page(request, self._context(request))

    def one(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        return pages.viewing_page(request, pk, self._context(request))

    def report(self, request: HttpRequest) -> HttpResponseBase:
        return report_pages.report_page(request, self._context(request))

    def report_file(self, request: HttpRequest) -> HttpResponseBase:
        self._context(request)
        return report_pages.report_download(request)

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page of the admin shows. Raises PermissionDenied."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return {**self.admin_site.each_context(request), "opts": self.opts}
