"""Policies of namespaces, and the requests for access, in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from codec import access_requests, policies
from codec.models import AccessRequest, NamespacePolicy, User
from keys.actor import current
from keys.admin_pages import ReadOnlyAdmin


class PolicyForm(forms.ModelForm[NamespacePolicy]):
    class Meta:
        model = NamespacePolicy
        fields = ("namespace", "approvers", "max_request_hours", "break_glass_group", "break_glass_minutes")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "break_glass_group" in self.changed_data:
            why_not = policies.refusal(data.get("break_glass_group"), actor=current())
            if why_not:
                policies.record_refusal(data.get("namespace") or self.instance.namespace, actor=current())
                self.add_error("break_glass_group", why_not)
        return data


@admin.register(NamespacePolicy)
class NamespacePolicyAdmin(admin.ModelAdmin[NamespacePolicy]):
    """Policies are changed, never deleted; a namespace without one has the defaults."""

    form = PolicyForm
    fields = PolicyForm.Meta.fields
    list_display = ("namespace", "approvers", "max_request_hours", "break_glass_group", "break_glass_minutes")
    list_select_related = ("namespace", "approvers", "break_glass_group")
    search_fields = ("namespace__name",)
    change_form_template = "admin/codec/namespacepolicy/change_form.html"

    def has_delete_permission(self, request: HttpRequest, obj: NamespacePolicy | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: NamespacePolicy | None = None) -> tuple[str, ...]:
        return () if obj is None else ("namespace",)

    def save_model(self, request: HttpRequest, obj: NamespacePolicy, form: Any, change: bool) -> None:
        changed = {name: form.cleaned_data[name] for name in form.changed_data if name != "namespace"}
        policies.save_policy(obj, changed, actor=current())


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.capitalize()) for state in ("waiting", *AccessRequest.Outcome.values)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
        """A request lapses when its time has come, whether that is written or not."""
        state, now = self.value(), timezone.now()
        if state == "waiting":
            return queryset.filter(outcome="", lapses_at__gt=now)
        if state == AccessRequest.Outcome.LAPSED:
            return queryset.filter(Q(outcome=state) | Q(outcome="", lapses_at__lte=now))
        return queryset.filter(outcome=state) if state else queryset


@admin.register(AccessRequest)
class AccessRequestAdmin(ReadOnlyAdmin[AccessRequest]):
    """For looking at. They are answered on their own pages, by those whom the namespace's policy names."""

    list_display = ("user", "namespace_name", "state", "hours", "made_at", "decided_by", "decided_at", "reason")
    list_filter = (StateFilter, "namespace_name")
    list_select_related = ("user",)
    search_fields = ("user__username", "namespace_name", "reason", "ticket")
    change_form_template = "admin/codec/accessrequest/change_form.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        assert isinstance(request.user, User)  # noqa: S101  the admin has seen to it
        asked = self.get_object(request, object_id)
        may_answer = asked is not None and access_requests.waiting_for(request.user).filter(pk=asked.pk).exists()
        return super().change_view(request, object_id, form_url, {"may_answer": may_answer} | (extra_context or {}))
