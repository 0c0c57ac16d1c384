"""Grants in the admin: given and revoked, one by one or several at once, and never edited."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import ForeignKey, Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode

from codec import grants
from codec.grants import MAX_REASON, GrantRefused, Subject
from codec.models import VERBS, Grant, User
from keys.actor import current
from keys.admin_pages import Question, ReadOnlyAdmin, ReasonForm, ask_reason, may_act
from keys.models import Namespace

USUAL_DAYS = 30
_TERMS = (*VERBS, "starts_at", "ends_at", "reason", "ticket")
_WITHOUT_START = "Empty: now. Times are UTC."
_WITHOUT_END = "Times are UTC. Only people with the permission to give open-ended grants may leave it empty."


def usual_end() -> datetime:
    return (timezone.now() + timedelta(days=USUAL_DAYS)).replace(second=0, microsecond=0)


class Moment(AdminSplitDateTime):
    """A date and a time, whose fields say to a screen reader what they are of."""

    def __init__(self, of: str) -> None:
        super().__init__()
        for part, widget in zip(("date", "time"), self.widgets, strict=True):
            widget.attrs["aria-label"] = f"{of}, {part}"


class GrantForm(forms.ModelForm[Grant]):
    class Meta:
        model = Grant
        fields = ("user", "group", "namespace", *_TERMS)
        widgets = {"starts_at": Moment("From"), "ends_at": Moment("Until")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "starts_at" in self.fields:  # not on the page of a grant that is there
            self.fields["starts_at"].required = False
            self.fields["starts_at"].help_text, self.fields["ends_at"].help_text = _WITHOUT_START, _WITHOUT_END

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            if (data["user"] is None) == (data["group"] is None):
                raise forms.ValidationError("Choose a user or a group.")
            _refuse(self.subject, data["namespace"], self.terms)
        return data

    @property
    def subject(self) -> Subject:
        subject: Subject = self.cleaned_data["user"] or self.cleaned_data["group"]
        return subject

    @property
    def terms(self) -> Any:
        return {name: self.cleaned_data[name] for name in _TERMS}

    def validate_constraints(self) -> None:
        """Leave it to give_grant, whose sentences say what to do."""


class SeveralForm(forms.Form):
    """A grant for each of several users and groups, on each of several namespaces."""

    users = forms.ModelMultipleChoiceField(
        User.objects.filter(is_active=True).order_by("username"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    groups = forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"), required=False, widget=forms.CheckboxSelectMultiple
    )
    namespaces = forms.ModelMultipleChoiceField(
        Namespace.objects.filter(retired_at=None), widget=forms.CheckboxSelectMultiple
    )
    decode, encode, download, lease = forms.fields_for_model(Grant, VERBS).values()
    starts_at = forms.SplitDateTimeField(required=False, widget=Moment("From"), label="From", help_text=_WITHOUT_START)
    ends_at = forms.SplitDateTimeField(required=False, widget=Moment("Until"), label="Until", help_text=_WITHOUT_END)
    reason = forms.CharField(max_length=MAX_REASON)
    ticket = forms.CharField(max_length=60, required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            if not self.subjects:
                raise forms.ValidationError("Choose at least one user or group.")
            for subject in self.subjects:
                for namespace in data["namespaces"]:
                    _refuse(subject, namespace, self.terms)
        return data

    @property
    def subjects(self) -> list[Subject]:
        return [*self.cleaned_data["users"], *self.cleaned_data["groups"]]

    @property
    def terms(self) -> Any:
        return {name: self.cleaned_data[name] for name in _TERMS}

    @transaction.atomic
    def give(self) -> int:
        """Give all of them, or none. Raises GrantRefused."""
        pairs = [(subject, namespace) for subject in self.subjects for namespace in self.cleaned_data["namespaces"]]
        for subject, namespace in pairs:
            grants.give_grant(subject, namespace, actor=current(), **self.terms)
        return len(pairs)


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in-force", "In force"), ("soon", "Ends within 7 days"), ("not-yet", "Not yet"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        now = timezone.now()
        running = Grant.objects.in_force(now)
        rows: dict[str | None, Any] = {
            "in-force": running,
            "soon": running.filter(ends_at__lte=now + timedelta(days=7)),
            "not-yet": Grant.objects.not_over(now).filter(starts_at__gt=now),
            "over": Grant.objects.filter(Q(revoked_at__isnull=False) | Q(ends_at__lte=now)),
        }
        chosen = rows.get(self.value())
        return queryset if chosen is None else queryset.filter(pk__in=chosen.values("pk"))


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin[Grant]):
    form = GrantForm
    list_display = ("to", "namespace", "verbs", "state", "source", "starts_at", "ends_at", "granted_by", "reason")
    list_filter = (StateFilter, "source", "namespace")
    list_select_related = ("user", "group", "namespace")
    search_fields = ("user__username", "group__name", "namespace__name", "reason", "ticket")
    actions = ["revoke_selected"]
    change_form_template = "admin/codec/grant/change_form.html"
    change_list_template = "admin/codec/grant/change_list.html"

    @admin.display(description="to")
    def to(self, grant: Grant) -> str:
        return f"group {grant.group}" if grant.group else str(grant.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("codec.add_grant")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return may_act(self, request)

    def get_fields(self, request: HttpRequest, obj: Grant | None = None) -> Any:
        if obj is None:
            return GrantForm.Meta.fields
        return [field.name for field in Grant._meta.fields if field.name != "id"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"ends_at": usual_end(), **super().get_changeform_initial_data(request)}

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        if db_field.name == "user":
            kwargs["queryset"] = User.objects.filter(is_active=True).order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Grant, form: Any, change: bool) -> None:
        given = grants.give_grant(form.subject, form.cleaned_data["namespace"], actor=current(), **form.terms)
        obj.pk = given.pk
        obj.refresh_from_db()

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<int:pk>/revoke/", wrap(self.revoke), name="codec_grant_revoke"),
            path("give/", wrap(self.give_several), name="codec_grant_give"),
            path("revoke/", wrap(self.revoke_several), name="codec_grant_revoke_several"),
        ]
        return [*own, *super().get_urls()]

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask why, then end the grant."""

        def act(grant: Grant, *, reason: str) -> str:
            grants.revoke_grant(grant, actor=current(), reason=reason)
            return f"The grant of {grant.subject} on {grant.namespace} has ended."

        template = "admin/codec/grant/revoke.html"
        return ask_reason(self, request, pk, Question(template=template, act=act, refusals=(GrantRefused,)))

    @admin.action(description="Revoke the selected grants", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Grant]) -> HttpResponse:
        pks = [str(pk) for pk in queryset.values_list("pk", flat=True)]
        return redirect(f"{reverse('admin:codec_grant_revoke_several')}?{urlencode({'ids': ','.join(pks)})}")

    def revoke_several(self, request: HttpRequest) -> HttpResponse:
        """Ask why, then end all of them; those that are over already are left out."""
        if not self.has_view_permission(request) or not may_act(self, request):
            raise PermissionDenied
        chosen = Grant.objects.not_over(timezone.now()).filter(pk__in=_numbers(request, "ids"))
        rows = list(chosen.select_related("user", "group", "namespace"))
        form = ReasonForm(request.POST or None, request=request)
        if request.method == "POST" and form.is_valid() and rows:
            try:
                _revoke_all(rows, form.cleaned_data["reason"])
                messages.success(request, f"{len(rows)} grant{'' if len(rows) == 1 else 's'} ended.")
                return redirect("admin:codec_grant_changelist")
            except GrantRefused as error:
                form.add_error(None, str(error))
        return self._page(request, "revoke_several", form=form, rows=rows)

    def give_several(self, request: HttpRequest) -> HttpResponse:
        """Give the same grant to several users and groups."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        initial = {"users": _numbers(request, "users"), "decode": True, "ends_at": usual_end()}
        form = SeveralForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            try:
                number = form.give()
                messages.success(request, f"{number} grant{'' if number == 1 else 's'} given.")
                return redirect("admin:codec_grant_changelist")
            except GrantRefused as error:
                form.add_error(None, str(error))
        return self._page(request, "give", form=form, media=self.media + form.media)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_revoke": may_act(self, request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def _page(self, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
        page = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/codec/grant/{name}.html", page)


def _refuse(subject: Subject, namespace: Namespace, terms: Any) -> None:
    """Raises ValidationError, after recording an attempt to grant to oneself."""
    refused = grants.refusal(subject, namespace, actor=current(), **terms)
    if refused is not None:
        grants.record_refusal(refused, subject, namespace, actor=current())
        raise forms.ValidationError(str(refused))


@transaction.atomic
def _revoke_all(rows: list[Grant], reason: str) -> None:
    for grant in rows:
        grants.revoke_grant(grant, actor=current(), reason=reason)


def _numbers(request: HttpRequest, name: str) -> list[int]:
    return [int(part) for part in request.GET.get(name, "").split(",") if part.isdecimal()]
