"""People, their sessions, and their rights."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models, transaction
from django.db.models import Q

from keys.models import Namespace


class User(AbstractUser):
    """A person who signs in here. Being staff or superuser opens the admin, never a payload: that takes a Grant."""

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the person together with the audit record of it, which codec.people writes; or neither."""
        super().save(*args, **kwargs)


class UserSession(AbstractBaseSession):
    """A browser session. `session_key` is the SHA-256 of the cookie's value: reading this table opens nothing."""

    session_key = models.CharField(max_length=64, primary_key=True)
    user_id = models.BigIntegerField(null=True, db_index=True)

    objects = BaseSessionManager["UserSession"]()  # type: ignore[misc]

    class Meta(AbstractBaseSession.Meta):
        abstract = False


class Grant(models.Model):
    """Permission of a user on one namespace. It is revoked, never deleted, and never changed: a new one replaces it."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="grants")
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="grants")
    decode = models.BooleanField(default=False, help_text="May read plaintext: /decode.")
    encode = models.BooleanField(default=False, help_text="May write payloads that Workers trust: /encode.")
    reason = models.CharField(max_length=200)
    granted_by = models.CharField(max_length=150)
    granted_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoke_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-granted_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "namespace"], condition=Q(revoked_at__isnull=True), name="one_grant_in_force"
            ),
            models.CheckConstraint(condition=Q(decode=True) | Q(encode=True), name="grant_allows_something"),
        ]

    def __str__(self) -> str:
        return f"{self.user} on {self.namespace}"

    @property
    def in_force(self) -> bool:
        return self.revoked_at is None

    @property
    def verbs(self) -> str:
        """The permitted verbs for people, e.g. "decode and encode"."""
        return " and ".join(verb for verb in ("decode", "encode") if getattr(self, verb))
