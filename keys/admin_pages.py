"""Two habits of every admin page here: look but do not touch, and ask why before acting."""

from collections.abc import Callable
from typing import TypeVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

M = TypeVar("M", bound=Model)


class ReadOnlyAdmin(admin.ModelAdmin[M]):
    """Rows can be looked at; nothing can be added, changed or deleted, one by one or in bulk."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=200, help_text="A sentence for whoever reviews the audit log, e.g. a ticket number and why."
    )


def ask_reason(
    model_admin: admin.ModelAdmin[M],
    request: HttpRequest,
    pk: int,
    act: Callable[[M, str], str],
    *,
    template: str,
    refusals: tuple[type[Exception], ...],
) -> HttpResponse:
    """Show `template` with a form for the reason; on POST call `act` and show the sentence it returns.

    Needs the permission to change the object. `refusals` are shown on the form.
    """
    instance = get_object_or_404(model_admin.model, pk=pk)
    if not model_admin.has_view_permission(request, instance) or not may_act(model_admin, request):
        raise PermissionDenied
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, act(instance, form.cleaned_data["reason"]))
            return redirect(_page_of(model_admin, instance))
        except refusals as error:
            form.add_error(None, str(error))
    context = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, "original": instance}
    return TemplateResponse(request, template, {**context, "form": form, "title": str(instance)})


def may_act(model_admin: admin.ModelAdmin[M], request: HttpRequest) -> bool:
    """True for people with Django's change permission on the model, even where its rows are never edited by form."""
    return request.user.has_perm(f"{model_admin.opts.app_label}.change_{model_admin.opts.model_name}")


def _page_of(model_admin: admin.ModelAdmin[M], instance: M) -> str:
    return reverse(f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_change", args=[instance.pk])
