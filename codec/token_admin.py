"""Tokens and services in the admin. A token itself never appears on these pages, nor does its digest."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from codec import services, tokens
from codec.models import ApiToken, Service, User
from keys.actor import current
from keys.admin_pages import Question, ReadOnlyAdmin, ask_reason, may_act


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in-force", "In force"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> QuerySet[ApiToken]:
        now = timezone.now()
        chosen = {
            "in-force": Q(revoked_at=None, expires_at__gt=now),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(chosen.get(self.value() or "", Q()))


class OfServiceFilter(admin.BooleanFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "of a service"


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin[ApiToken]):
    """Tokens are revoked, never edited. People make their own; those of services are made from the service's page."""

    list_display = ("name", "user", "state", "verbs", "reach", "expires_at", "last_used_at")
    list_filter = (StateFilter, ("user__is_service", OfServiceFilter))
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = (
        *("name", "user", "state", "verbs", "reach", "credential", "created_at", "created_by"),
        *("expires_at", "last_used_at", "revoked_at", "revoked_by", "revoke_reason"),
    )
    change_form_template = "admin/codec/apitoken/change_form.html"

    @admin.display(description="in audit records")
    def credential(self, token: ApiToken) -> str:
        return f"token {token.label}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        return super().get_queryset(request).prefetch_related("namespaces")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Filter by what is shown: a digest could be guessed digit by digit."""
        return lookup.partition("__")[0] in self.fields and super().lookup_allowed(lookup, value, request)

    def get_urls(self) -> list[URLPattern]:
        revoke = path("<int:pk>/revoke/", self.admin_site.admin_view(self.revoke), name="codec_apitoken_revoke")
        return [revoke, *super().get_urls()]

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask why, then end the token."""

        def act(token: ApiToken, *, reason: str) -> str:
            tokens.revoke_token(token, actor=current(), reason=reason)
            return f"The token {token} opens nothing any more."

        template = "admin/codec/apitoken/revoke.html"
        return ask_reason(self, request, pk, Question(template=template, act=act, refusals=(tokens.TokenRefused,)))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_revoke": may_act(self, request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)


class NewServiceForm(forms.ModelForm[Service]):
    group = forms.ModelChoiceField(
        Group.objects.order_by("name"),
        label="Belongs to",
        help_text="The members of this group see the service's tokens and can revoke them.",
    )

    class Meta:
        model = Service
        fields = ("username",)
        labels = {"username": "Name"}
        help_texts = {"username": "What calls with it, e.g. nightly-export. Letters, digits and @ . + - _ only."}


@admin.register(Service)
class ServiceAdmin(admin.ModelAdmin[Service]):
    """Created, and given tokens, by those who may give grants. Disabled, never deleted."""

    list_display = ("username", "owner_group", "is_active", "working_tokens", "date_joined")
    search_fields = ("username", "owner_group__name")
    ordering = ("username",)
    change_form_template = "admin/codec/service/change_form.html"
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        in_force = Q(api_tokens__revoked_at=None, api_tokens__expires_at__gt=timezone.now())
        services_only = super().get_queryset(request).filter(is_service=True)
        return services_only.annotate(working_tokens=Count("api_tokens", filter=in_force))

    @admin.display(description="tokens in force")
    def working_tokens(self, service: Service) -> int:
        return service.working_tokens  # type: ignore[attr-defined,no-any-return]  # annotated above

    def has_view_permission(self, request: HttpRequest, obj: Service | None = None) -> bool:
        return super().has_view_permission(request, obj) or _approves_grants(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _approves_grants(request)

    def has_change_permission(self, request: HttpRequest, obj: Service | None = None) -> bool:
        return _approves_grants(request)

    def has_delete_permission(self, request: HttpRequest, obj: Service | None = None) -> bool:
        return False

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {"form": NewServiceForm, **kwargs}))

    def get_fields(self, request: HttpRequest, obj: Service | None = None) -> tuple[str, ...]:
        return ("username", "group") if obj is None else ("owner_group", "is_active", "date_joined")

    def get_readonly_fields(self, request: HttpRequest, obj: Service | None = None) -> tuple[str, ...]:
        return () if obj is None else ("owner_group", "date_joined")

    def save_model(self, request: HttpRequest, obj: Service, form: ModelForm[Service], change: bool) -> None:
        if not change:
            obj.pk = services.create_service(form.cleaned_data["username"], form.cleaned_data["group"]).pk
            obj.refresh_from_db()
        elif "is_active" in form.changed_data:
            service = User.objects.get(pk=obj.pk)  # saved as what it is, so that it is recorded
            service.is_active = obj.is_active
            service.save(update_fields=["is_active"])

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        service = self.get_object(request, object_id)
        context = {"tokens": tokens.tokens_of(service) if service else [], "may_make": _approves_grants(request)}
        context["show_save_and_add_another"] = False
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))


def _approves_grants(request: HttpRequest) -> bool:
    return request.user.has_perm("codec.add_grant")
