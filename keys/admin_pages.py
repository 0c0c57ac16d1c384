"""Two habits of every admin page here: look but do not touch, and ask why before acting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from keys import fresh_login

M = TypeVar("M", bound=Model)


class ReadOnlyAdmin(admin.ModelAdmin[M]):
    """Rows can be looked at; nothing can be added, changed or deleted, one by one or in bulk."""

    actions: Sequence[Any] | None = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class ReasonForm(forms.Form):
    """Asks why. What `cleaned_data` holds goes to the act as keywords."""

    reason = forms.CharField(
        max_length=200, help_text="A sentence for whoever reviews the audit records, e.g. a ticket number and why."
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request


class DangerousForm(ReasonForm):
    """Wants proof of who is asking as well, so that an unlocked screen is not enough: the password again.

    Somebody who signed in elsewhere is asked to do that again (`sign_in_again`) before the form takes anything.
    """

    password = forms.CharField(
        label="Your password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="Asked again because this can make payloads unreadable.",
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, request=request, **kwargs)
        self.sign_in_again = fresh_login.elsewhere(request)
        if self.sign_in_again is not None:
            del self.fields["password"]

    def clean_password(self) -> None:
        """Ask as at the sign-in, so that guessing here ends as soon as it would there."""
        name = self._request.user.get_username()
        if not authenticate(self._request, username=name, password=self.cleaned_data["password"]):
            raise forms.ValidationError("That is not your password. After five wrong ones, wait for 15 minutes.")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.sign_in_again is not None and not self.sign_in_again.done:
            raise forms.ValidationError("Sign in again first.")
        return {name: value for name, value in data.items() if name != "password"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A page that asks why: `act` gets the row and what `form` asked for, and returns the sentence to show.

    `refusals` are shown on the form; afterwards the browser goes to `then`, or to the row's own page.
    """

    template: str
    act: Callable[..., str]
    refusals: tuple[type[Exception], ...]
    form: type[ReasonForm] = ReasonForm
    context: dict[str, Any] = field(default_factory=dict)
    then: str | None = None


def ask_reason(model_admin: admin.ModelAdmin[M], request: HttpRequest, pk: int, question: Question) -> HttpResponse:
    """Show the question; on POST act on the answer. Needs the permission to change the row."""
    row = get_object_or_404(model_admin.model, pk=pk)
    if not model_admin.has_view_permission(request, row) or not may_act(model_admin, request):
        raise PermissionDenied
    form = question.form(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, question.act(row, **form.cleaned_data))
            return redirect(question.then or _page_of(model_admin, row))
        except question.refusals as error:
            form.add_error(None, str(error))
    page = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, "original": row}
    return TemplateResponse(request, question.template, {**page, "form": form, "title": str(row), **question.context})


def may_act(model_admin: admin.ModelAdmin[M], request: HttpRequest) -> bool:
    """True for people with Django's change permission on the model, even where its rows are never edited by form."""
    return request.user.has_perm(f"{model_admin.opts.app_label}.change_{model_admin.opts.model_name}")


def _page_of(model_admin: admin.ModelAdmin[M], instance: M) -> str:
    return reverse(f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_change", args=[instance.pk])
