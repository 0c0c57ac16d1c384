"""People in the admin; pages about their rights stand in modules of their own."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from codec import grant_admin, memberships, policy_admin, sessions, token_admin  # noqa: F401  registers more pages
from codec.models import User
from codec.oidc import admin as single_sign_on  # noqa: F401  Django looks for pages of the admin here only
from keys.actor import current
from keys.admin_pages import Question, ask_reason

# Works without a script, by keyboard and on a narrow screen; Django's two lists do not.
CHECKBOXES: Any = {ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}


class NewUserForm(AdminUserCreationForm[User]):
    class Meta(AdminUserCreationForm.Meta):
        model = User


class EditUserForm(UserChangeForm[User]):
    class Meta(UserChangeForm.Meta):
        model = User

    def clean_groups(self) -> QuerySet[Group]:
        groups: QuerySet[Group] = self.cleaned_data["groups"]
        joined = groups.exclude(pk__in=self.instance.groups.values("pk"))
        if why_not := memberships.refusal(self.instance, joined, actor=current()):
            memberships.record_refusal(self.instance, actor=current())
            raise forms.ValidationError(why_not)
        return groups


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """Django's group pages."""

    filter_horizontal = ()
    formfield_overrides = CHECKBOXES


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):
    """Django's user pages. Users are disabled, never deleted: audit records speak of them."""

    form = EditUserForm
    add_form = NewUserForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    actions = ["give_grants"]
    filter_horizontal = ()
    formfield_overrides = CHECKBOXES

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

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """People only. Services have pages of their own, without a password."""
        return super().get_queryset(request).filter(is_service=False)

    def has_grant_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("codec.add_grant")

    @admin.action(description="Give the selected users a grant", permissions=["grant"])
    def give_grants(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse:
        pks = [str(pk) for pk in queryset.values_list("pk", flat=True)]
        return redirect(f"{reverse('admin:codec_grant_give')}?{urlencode({'users': ','.join(pks)})}")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if object_id.isdecimal() and User.objects.filter(pk=object_id, is_service=True).exists():
            return redirect("admin:codec_service_change", object_id)  # a grant's page links here
        context = {"open_sessions": self._open_sessions(request, object_id), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        end = path(
            "<int:pk>/end_sessions/", self.admin_site.admin_view(self.end_sessions), name="codec_user_end_sessions"
        )
        return [end, *super().get_urls()]

    def end_sessions(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask why, then sign the person out everywhere."""

        def act(person: User, *, reason: str) -> str:
            number = sessions.end_all_sessions(person, actor=current(), reason=reason)
            return f"{person} is signed out everywhere: {number} session{'' if number == 1 else 's'} ended."

        if not self.has_change_permission(request, self.get_object(request, str(pk))):
            raise PermissionDenied
        template = "admin/codec/user/end_sessions.html"
        question = Question(template=template, act=act, refusals=(sessions.EndingRefused,))
        return ask_reason(self, request, pk, question)

    def _open_sessions(self, request: HttpRequest, object_id: str) -> int | None:
        """Return how many sessions the person has, for those who may end them."""
        person = self.get_object(request, object_id)
        if person is None or not self.has_change_permission(request, person):
            return None
        return sessions.open_sessions(person).count()
