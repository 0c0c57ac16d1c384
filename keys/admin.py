"""Namespaces, key versions and the logbook in the admin. Key material is never shown; records are never changed."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property

from keys import admin_verbs, audit, rotation, usage
from keys.actor import current
from keys.admin_pages import Question, ReadOnlyAdmin, ask_reason, may_act
from keys.admin_verbs import PageVerb
from keys.audit import AuditAction
from keys.audit_reading import Page, note_reading
from keys.errors import KeysError
from keys.fingerprints import SIZE
from keys.models import AuditChain, AuditRecord, KeyVersion, Namespace
from keys.timeline import Moment, timeline

EDITABLE = (
    "denied_decode",
    "codec_chain",
    "rotation_period_days",
    "expected_encryptions_per_day",
    "history_retention_days",
)


def ask_about_keys(verb: PageVerb, *, template: str, **options: Any) -> Question:
    """Return the page of `verb`, which calls its function with what the form asked for."""

    def act(row: Any, **asked: Any) -> str:
        return verb.done.format(verb.act(row, actor=current(), **asked))

    return Question(template=template, act=act, refusals=(KeysError,), form=verb.form, **options)


@admin.register(Namespace)
class NamespaceAdmin(admin.ModelAdmin[Namespace]):
    list_display = ("name", "in_use", "primary_key", "versions", "denied_decode", "created_at")
    search_fields = ("name",)
    change_form_template = "admin/keys/namespace/change_form.html"

    @admin.display(boolean=True, description="in use")
    def in_use(self, namespace: Namespace) -> bool:
        return namespace.retired_at is None

    @admin.display(description="primary key")
    def primary_key(self, namespace: Namespace) -> str:
        primary = namespace.key_versions.filter(is_primary=True).first()
        return primary.key_id if primary else "none"

    @admin.display(description="key versions")
    def versions(self, namespace: Namespace) -> int:
        return namespace.key_versions.count()

    def get_fields(self, request: HttpRequest, obj: Namespace | None = None) -> tuple[str, ...]:
        return ("name",) if obj is None else ("name", *EDITABLE, "next_rotation_at", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Namespace | None = None) -> tuple[str, ...]:
        return () if obj is None else ("name", "next_rotation_at", "created_at")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        namespace = self.get_object(request, object_id)
        context = {"timeline": timeline(namespace) if namespace else [], "may_act": may_act(self, request)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

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
            if "rotation_period_days" in form.changed_data:
                rotation.schedule_rotation(obj, obj.rotation_period_days)
            changes = {name: getattr(obj, name) for name in form.changed_data}
            audit.record(
                AuditAction.NAMESPACE_CHANGED, actor=current(), namespace=obj.name, details={"changes": changes}
            )

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.verb_page)
        verbs = [
            path(f"<int:pk>/{name}/", page, {"name": name}, name=f"keys_namespace_{name}")
            for name in admin_verbs.ON_NAMESPACE
        ]
        return [*verbs, *super().get_urls()]

    def verb_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask why, then make a new key version, or take the namespace out of use or back into it."""
        question = ask_about_keys(admin_verbs.ON_NAMESPACE[name], template=f"admin/keys/namespace/{name}.html")
        return ask_reason(self, request, pk, question)


@admin.register(KeyVersion)
class KeyVersionAdmin(ReadOnlyAdmin[KeyVersion]):
    list_display = ("key_id", "namespace", "number", "state", "is_primary", "origin", "kek_id", "created_at")
    list_filter = ("state", "is_primary", "namespace")
    search_fields = ("key_id", "namespace__name")
    fields = (*list_display, "state_changed_at", "last_primary_at", "destroy_at")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Filter by what is shown: the content of any other column could be guessed letter by letter."""
        return lookup.partition("__")[0] in self.fields and super().lookup_allowed(lookup, value, request)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.verb_page)
        verbs = [
            path(f"<int:pk>/{name}/", page, {"name": name}, name=f"keys_keyversion_{name}")
            for name in admin_verbs.ON_VERSION
        ]
        return [*verbs, *super().get_urls()]

    def verb_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Show the use of the version and ask why, then act on it."""
        version = get_object_or_404(KeyVersion, pk=pk)
        then = reverse("admin:keys_namespace_change", args=[version.namespace_id])
        context = {"moment": Moment.of(version), "needed_until": usage.needed_until(version)}
        template = f"admin/keys/keyversion/{name}.html"
        question = ask_about_keys(admin_verbs.ON_VERSION[name], template=template, context=context, then=then)
        return ask_reason(self, request, pk, question)


_IN_HEX = {"mac": "mac_in_hex", "fingerprints": "fingerprints_in_hex"}


class AuditPaginator(Paginator[AuditRecord]):
    """Reads how many records there are from the register of chains: counting them takes long when there are many."""

    @cached_property
    def count(self) -> int:
        assert isinstance(self.object_list, QuerySet)  # noqa: S101  the admin gives nothing else
        if self.object_list.query.where:
            return self.object_list.count()
        return AuditChain.objects.aggregate(sum=Sum(F("sequence") - F("floor_sequence")))["sum"] or 0


class ActionFilter(admin.SimpleListFilter):
    """Offers every action there can be: to look which of them were recorded, all records would have to be read."""

    title = "action"
    parameter_name = "action__exact"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[AuditRecord]) -> list[tuple[str, str]]:
        return [(action.value, action.value) for action in sorted(AuditAction)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditRecord]) -> QuerySet[AuditRecord]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnlyAdmin[AuditRecord]):
    list_display = ("at", "action", "outcome", "reason", "actor_name", "namespace", "address", "summary")
    list_filter = ("outcome", ActionFilter, ("at", admin.DateFieldListFilter))
    search_fields = ("action", "actor_name", "namespace", "address", "request_id")
    paginator = AuditPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    fields = tuple(_IN_HEX.get(field.name, field.name) for field in AuditRecord._meta.fields)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if self.has_view_permission(request):
            note_reading(Page.RECORDS, actor=current())
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.has_view_permission(request):
            note_reading(Page.RECORDS, actor=current())
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.display(description="MAC")
    def mac_in_hex(self, record: AuditRecord) -> str:
        return bytes(record.mac).hex()

    @admin.display(description="Fingerprints")
    def fingerprints_in_hex(self, record: AuditRecord) -> str:
        return bytes(record.fingerprints).hex(" ", -SIZE) or "-"

    @admin.display(description="details")
    def summary(self, record: AuditRecord) -> str:
        return ", ".join(f"{name}: {json.dumps(value)}" for name, value in record.details.items())[:120]


from keys.review import admin as review_admin  # noqa: E402, F401  registers its pages
