"""The admin under our name, with a start page that says what needs attention."""

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from codec import auditor_pages
from codec.attention import attention
from codec.models import User


class CodecAdminSite(AdminSite):
    site_header = "Codec Server"
    site_title = "Codec Server"
    index_title = "Administration"
    index_template = "admin/start.html"
    enable_nav_sidebar = False

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        if not isinstance(request.user, User):
            raise PermissionDenied
        return super().index(request, {"attention": attention(request.user), **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        return [*auditor_pages.urls(self), *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one sign-in page. Somebody who is signed in already lacks the right to be here."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect(f"{reverse('login')}?{urlencode({'next': request.GET.get('next', reverse('admin:index'))})}")
