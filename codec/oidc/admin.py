"""Single sign-on in the admin: who is expected, who is whom, and what the provider's groups mean. For superusers.

Whoever binds a person to a user lets them sign in as that user; so this is as much as resetting passwords.
"""

from datetime import datetime
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from codec.models import GroupMapping, Identity, Invitation
from codec.oidc import provisioning
from keys.actor import current

M = TypeVar("M", bound=Model)


class SsoAdmin(admin.ModelAdmin[M]):
    """Rows are added and deleted, never changed."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"issuer": settings.CODEC_OIDC_ISSUER}


class PersonForm(forms.ModelForm[M]):
    """A row that lets somebody sign in as `user`; the name by which the provider knows them is its last field."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and (why := provisioning.refusal(*data.values())):
            raise forms.ValidationError(why)
        return data


class InvitationForm(PersonForm[Invitation]):
    class Meta:
        model = Invitation
        fields = ("user", "issuer", "email")


class IdentityForm(PersonForm[Identity]):
    class Meta:
        model = Identity
        fields = ("user", "issuer", "subject")


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("used", "Used")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> QuerySet[Invitation]:
        chosen = {"open": Q(bound_at=None), "used": Q(bound_at__isnull=False)}
        return queryset.filter(chosen.get(self.value() or "", Q()))


@admin.register(Invitation)
class InvitationAdmin(SsoAdmin[Invitation]):
    """An invitation is used up by the first sign-in; after that it only tells."""

    form = InvitationForm
    list_display = ("user", "email", "issuer", "invited_by", "created_at", "used_at")
    list_filter = (StateFilter,)
    search_fields = ("user__username", "email")

    @admin.display(description="used at", ordering="bound_at")
    def used_at(self, invitation: Invitation) -> datetime | None:
        return invitation.bound_at

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        obj.pk = provisioning.invite(**form.cleaned_data, actor=current()).pk

    def delete_model(self, request: HttpRequest, obj: Invitation) -> None:
        provisioning.withdraw(obj, actor=current())


@admin.register(Identity)
class IdentityAdmin(SsoAdmin[Identity]):
    form = IdentityForm
    list_display = ("user", "subject", "issuer", "created_at")
    search_fields = ("user__username", "subject")

    def save_model(self, request: HttpRequest, obj: Identity, form: Any, change: bool) -> None:
        obj.pk = provisioning.bind(**form.cleaned_data, actor=current()).pk

    def delete_model(self, request: HttpRequest, obj: Identity) -> None:
        provisioning.unbind(obj, actor=current())


@admin.register(GroupMapping)
class GroupMappingAdmin(SsoAdmin[GroupMapping]):
    list_display = ("provider_group", "group", "issuer")
    search_fields = ("provider_group", "group__name")

    def save_model(self, request: HttpRequest, obj: GroupMapping, form: Any, change: bool) -> None:
        provisioning.map_group(obj, actor=current())

    def delete_model(self, request: HttpRequest, obj: GroupMapping) -> None:
        provisioning.unmap_group(obj, actor=current())
