"""Record what happens to people: sign-ins, and every change to users and groups, whoever makes it.

Django's own forms, commands and shell write these models, so their signals are the one place that sees them all.
A sign-in that failed is recorded under the name only if there is such a user: people type passwords into that field.
"""

from typing import Any

from django.contrib.auth import user_logged_in, user_logged_out, user_login_failed
from django.contrib.auth.models import Group
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from codec import request_facts, sessions
from codec.local_passwords import is_locked
from codec.models import User
from codec.oidc.conf import came_in_by_sso
from keys import audit
from keys.actor import current
from keys.audit import AuditAction, Outcome

WATCHED = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "is_service")


@receiver(user_logged_in)
def record_sign_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    sessions.note_sign_in(request)
    details = {"by": "sso" if came_in_by_sso(request) else "password", **getattr(user, "sign_in_facts", {})}
    audit.record(AuditAction.SESSION_STARTED, actor=request_facts.person(request, user), details=details)


@receiver(user_logged_out)
def record_sign_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        audit.record(AuditAction.SESSION_ENDED, actor=request_facts.person(request, user))


@receiver(user_login_failed)
def record_failed_sign_in(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    known = User.objects.filter(username=credentials.get("username", "")).first()
    audit.record(
        AuditAction.SIGN_IN_FAILED,
        actor=request_facts.nobody(request) if request else current(),
        outcome=Outcome.DENIED,
        reason="locked_out" if request and is_locked(request) else "wrong_credentials",
        details={"user": known.username} if known else {},
    )


@receiver(pre_save, sender=User)
def remember_user(instance: User, **kwargs: Any) -> None:
    instance._before = User.objects.filter(pk=instance.pk).first()  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def record_user(instance: User, created: bool, update_fields: frozenset[str] | None = None, **kwargs: Any) -> None:
    before: User | None = instance._before  # type: ignore[attr-defined]
    about = {"user": instance.username, "user_id": instance.pk}
    if created or before is None:
        flags = {name: getattr(instance, name) for name in ("is_active", "is_staff", "is_superuser")}
        if instance.is_service:
            flags["service_of"] = str(instance.owner_group)
        audit.record(AuditAction.USER_CREATED, actor=current(), details=about | flags)
        return
    changes = {name: getattr(instance, name) for name in WATCHED if getattr(instance, name) != getattr(before, name)}
    if changes:
        audit.record(AuditAction.USER_CHANGED, actor=current(), details=about | {"changes": changes})
    if instance.password != before.password and not _is_rehash(instance, update_fields):
        audit.record(AuditAction.USER_PASSWORD_CHANGED, actor=current(), details=about)


@receiver(post_delete, sender=User)
def record_user_deleted(instance: User, **kwargs: Any) -> None:
    audit.record(AuditAction.USER_DELETED, actor=current(), details={"user": instance.username, "user_id": instance.pk})


def _is_rehash(user: User, update_fields: frozenset[str] | None) -> bool:
    """True when Django, while somebody signs in, stores the same password under a newer hash."""
    # AbstractBaseUser.check_password forgets the raw password and then saves this field alone.
    return update_fields == frozenset({"password"}) and user._password is None  # type: ignore[attr-defined]


@receiver(post_save, sender=Group)
def record_group(instance: Group, created: bool, **kwargs: Any) -> None:
    action = AuditAction.GROUP_CREATED if created else AuditAction.GROUP_CHANGED
    audit.record(action, actor=current(), details={"group": instance.name})


@receiver(post_delete, sender=Group)
def record_group_deleted(instance: Group, **kwargs: Any) -> None:
    audit.record(AuditAction.GROUP_DELETED, actor=current(), details={"group": instance.name})


def record_members(action: AuditAction) -> Any:
    """Return a receiver of m2m_changed that records what was added to, or removed from, whom."""

    def receive(instance: Model, model: type[Model], pk_set: set[int] | None, **kwargs: Any) -> None:
        change = kwargs["action"]
        if change not in {"post_add", "post_remove", "pre_clear"}:
            return
        names = [str(item) for item in model._default_manager.filter(pk__in=pk_set or set())]
        details = {"of": str(instance), "change": change.partition("_")[2], "items": names}
        audit.record(action, actor=current(), details=details)

    return receive


_receivers = {
    User.groups.through: record_members(AuditAction.USER_GROUPS_CHANGED),
    User.user_permissions.through: record_members(AuditAction.USER_PERMISSIONS_CHANGED),
    Group.permissions.through: record_members(AuditAction.GROUP_PERMISSIONS_CHANGED),
}
for _sender, _receive in _receivers.items():
    m2m_changed.connect(_receive, sender=_sender)
