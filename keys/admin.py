"""Namespaces, key versions and the logbook in the admin. Key material is never shown; records are never changed."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path

from keys import audit, rotation
from keys.actor import current
from keys.admin_pages import ReadOnlyAdmin, ask_reason
from keys.audit import AuditAction
from keys.errors import KeysError
from keys.models import AuditRecord, KeyVersion, Namespace


class KeyVersionInline(admin.TabularInline[KeyVersion, Namespace]):
    model = KeyVersion
    fields = readonly_fields = ("number", "key_id", "state", "is_primary", "origin", "kek_id", "created_at")
    ordering = ("-number",)
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Namespace | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Namespace)
class NamespaceAdmin(admin.ModelAdmin[Namespace]):
    list_display = ("name", "primary_key", "versions", "denied_decode", "created_at")
    search_fields = ("name",)
    change_form_template = "admin/keys/namespace/change_form.html"

    @admin.display(description="primary key")
    def primary_key(self, namespace: Namespace) -> str:
        primary = namespace.key_versions.filter(is_primary=True).first()
        return primary.key_id if primary else "none"

    @admin.display(description="key versions")
    def versions(self, namespace: Namespace) -> int:
        return namespace.key_versions.count()

    def get_fields(self, request: HttpRequest, obj: Namespace | None = None) -> tuple[str, ...]:
        return ("name",) if obj is None else ("name", "denied_decode", "codec_chain", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Namespace | None = None) -> tuple[str, ...]:
        return () if obj is None else ("name", "created_at")

    def get_inlines(self, request: HttpRequest, obj: Namespace | None) -> list[Any]:
        return [] if obj is None else [KeyVersionInline]

    def has_delete_permission(self, request: HttpRequest, obj: Namespace | None = None) -> bool:
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except KeysError as error:  # the KEK is away; nothing was created
            messages.error(request, str(error))
            return redirect("admin:keys_namespace_add")

    def save_model(self, request: HttpRequest, obj: Namespace, form: ModelForm[Namespace], change: bool) -> None:
        if not change:
            obj.pk = rotation.create_namespace(obj.name, actor=current()).pk
            obj.refresh_from_db()
            return
        with transaction.atomic():
            obj.save()
            changes = {name: getattr(obj, name) for name in form.changed_data}
            audit.record(
                AuditAction.NAMESPACE_CHANGED, actor=current(), namespace=obj.name, details={"changes": changes}
            )

    def get_urls(self) -> list[URLPattern]:
        rotate = path("<int:pk>/rotate/", self.admin_site.admin_view(self.rotate), name="keys_namespace_rotate")
        return [rotate, *super().get_urls()]

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask why, then make a new primary key version."""

        def act(namespace: Namespace, reason: str) -> str:
            version = rotation.rotate_key(namespace, actor=current(), reason=reason)
            return f"{namespace} now encodes with key {version.key_id}."

        return ask_reason(self, request, pk, act, template="admin/keys/namespace/rotate.html", refusals=(KeysError,))


@admin.register(KeyVersion)
class KeyVersionAdmin(ReadOnlyAdmin[KeyVersion]):
    list_display = ("key_id", "namespace", "number", "state", "is_primary", "origin", "kek_id", "created_at")
    list_filter = ("state", "is_primary", "namespace")
    search_fields = ("key_id", "namespace__name")
    fields = ("namespace", "number", "key_id", "state", "is_primary", "origin", "kek_id", "created_at")


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnlyAdmin[AuditRecord]):
    list_display = ("at", "action", "outcome", "reason", "actor_name", "namespace", "address", "summary")
    list_filter = ("outcome", "action", ("at", admin.DateFieldListFilter))
    search_fields = ("actor_name", "namespace", "address", "request_id")
    date_hierarchy = None
    show_full_result_count = False
    fields = tuple(field.name for field in AuditRecord._meta.fields)

    @admin.display(description="details")
    def summary(self, record: AuditRecord) -> str:
        return ", ".join(f"{name}: {value}" for name, value in record.details.items())[:120]
