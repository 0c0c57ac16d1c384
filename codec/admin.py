"""People and their grants in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from codec import grants
from codec.models import Grant, User
from keys.actor import current
from keys.admin_pages import Question, ReadOnlyAdmin, ask_reason, may_act


class NewUserForm(AdminUserCreationForm[User]):
    class Meta(AdminUserCreationForm.Meta):
        model = User


class EditUserForm(UserChangeForm[User]):
    class Meta(UserChangeForm.Meta):
        model = User


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):
    """Django's user pages. Users are disabled, never deleted: the audit log speaks of them."""

    form = EditUserForm
    add_form = NewUserForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only a superuser may change a superuser: who resets a password can sign in with it."""
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not above and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only a superuser may make people staff or superuser, or give them admin permissions."""
        fixed = ("last_login", "date_joined", *super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fixed
        return (*fixed, "is_staff", "is_superuser", "groups", "user_permissions")


class GrantForm(forms.ModelForm[Grant]):
    class Meta:
        model = Grant
        fields = ("user", "namespace", "decode", "encode", "reason")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            refusal = grants.refusal(**data, actor=current())
            if refusal:
                raise forms.ValidationError(refusal)
        return data

    def validate_constraints(self) -> None:
        """Leave it to give_grant, which replaces a grant in force."""


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin[Grant]):
    """Grants are given and revoked, never edited."""

    form = GrantForm
    list_display = ("user", "namespace", "verbs", "in_force", "granted_by", "granted_at", "revoked_at", "reason")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "namespace")
    search_fields = ("user__username", "namespace__name", "reason")
    change_form_template = "admin/codec/grant/change_form.html"

    @admin.display(boolean=True, description="in force")
    def in_force(self, grant: Grant) -> bool:
        return grant.in_force

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("codec.add_grant")

    def get_fields(self, request: HttpRequest, obj: Grant | None = None) -> Any:
        if obj is None:
            return GrantForm.Meta.fields
        return [field.name for field in Grant._meta.fields if field.name != "id"]

    def save_model(self, request: HttpRequest, obj: Grant, form: Any, change: bool) -> None:
        obj.pk = grants.give_grant(**form.cleaned_data, actor=current()).pk
        obj.refresh_from_db()

    def get_urls(self) -> list[URLPattern]:
        revoke = path("<int:pk>/revoke/", self.admin_site.admin_view(self.revoke), name="codec_grant_revoke")
        return [revoke, *super().get_urls()]

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask why, then end the grant."""

        def act(grant: Grant, *, reason: str) -> str:
            grants.revoke_grant(grant, actor=current(), reason=reason)
            return f"The grant of {grant.user} on {grant.namespace} has ended."

        template = "admin/codec/grant/revoke.html"
        return ask_reason(self, request, pk, Question(template=template, act=act, refusals=(grants.GrantRefused,)))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_revoke": may_act(self, request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)
