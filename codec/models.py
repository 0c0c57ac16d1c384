"""People, their sessions, and their rights."""

from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from keys.models import Namespace


class User(AbstractUser):
    """A person who signs in here, or a service that only has tokens.

    Being staff or superuser opens the admin, never a payload: that takes a Grant. A service belongs to a group,
    has no password and cannot sign in.
    """

    is_service = models.BooleanField(default=False, editable=False)
    owner_group = models.ForeignKey(
        "auth.Group", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="services"
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(is_service=False, owner_group__isnull=True)
                | Q(is_service=True, owner_group__isnull=False, is_staff=False, is_superuser=False),
                name="service_has_an_owner_and_no_admin",
            ),
            models.CheckConstraint(
                condition=Q(is_service=False) | Q(password__startswith=UNUSABLE_PASSWORD_PREFIX),
                name="service_has_no_password",
            ),
        ]

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the person together with the audit record of it, which codec.people writes; or neither."""
        super().save(*args, **kwargs)


class Service(User):
    """The users that are services, for a page of their own. Save them as User, so that it is recorded."""

    class Meta:
        proxy = True
        ordering = ["username"]


class UserSession(AbstractBaseSession):
    """A browser session. `session_key` is the SHA-256 of the cookie's value: reading this table opens nothing.

    `last_seen_at` may lag a minute behind. What stands from `started_at` on is known once somebody has signed in.
    """

    session_key = models.CharField(max_length=64, primary_key=True)
    user_id = models.BigIntegerField(null=True, db_index=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    address = models.CharField(max_length=64, blank=True)
    browser = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=64, blank=True)

    objects = BaseSessionManager["UserSession"]()  # type: ignore[misc]

    class Meta(AbstractBaseSession.Meta):
        abstract = False

    @property
    def label(self) -> str:
        """What audit records call it: "session" and these digits."""
        return self.session_key[:12]


class Identity(models.Model):
    """A person as an identity provider knows them: issuer and subject, never an e-mail address."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_unique")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class Invitation(models.Model):
    """Binds the first verified sign-in with this e-mail address to a user, once. After that it means nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(help_text="As the provider will report it; letter case does not matter.")
    issuer = models.CharField(max_length=255, help_text="The provider that must report it.")
    invited_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    bound_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"), "issuer", condition=Q(bound_at__isnull=True), name="one_open_invitation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.user}"


class GroupMapping(models.Model):
    """People in `provider_group` at `issuer` are put into `group` when they sign in."""

    issuer = models.CharField(max_length=255)
    provider_group = models.CharField(max_length=255, help_text="As it stands in the token's groups claim.")
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, related_name="mappings")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "provider_group", "group"], name="group_mapping_unique")
        ]

    def __str__(self) -> str:
        return f"{self.provider_group} -> {self.group}"


class ProvidedMembership(models.Model):
    """A membership that a provider's groups gave, so that the next sign-in may take it back. Others are left alone."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="provided_memberships")
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, related_name="+")
    issuer = models.CharField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "group"], name="provided_membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"


class ApiToken(models.Model):
    """A bearer token of a person or a service: shown once, kept as SHA-256, never worth more than its owner may.

    It reaches every namespace of its owner, later ones too, or those in `namespaces` alone: none, if there are none.
    """

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_tokens", verbose_name="owner")
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    every_namespace = models.BooleanField(default=False)
    namespaces = models.ManyToManyField(Namespace, blank=True)
    decode = models.BooleanField(default=False)
    encode = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoke_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "token"
        constraints = [models.CheckConstraint(condition=Q(decode=True) | Q(encode=True), name="token_allows_something")]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @property
    def label(self) -> str:
        """The digits that audit records name it by. They open nothing."""
        return self.digest[:12]

    @property
    def verbs(self) -> str:
        return verbs_of(self)

    @property
    def state(self) -> str:
        """One of "revoked", "expired", "in force"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "in force"


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
            models.CheckConstraint(
                condition=Q(decode=True) | Q(encode=True),
                name="grant_allows_something",
                violation_error_message="Choose decode, encode or both.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} on {self.namespace}"

    @property
    def in_force(self) -> bool:
        return self.revoked_at is None

    @property
    def verbs(self) -> str:
        return verbs_of(self)


def verbs_of(row: ApiToken | Grant) -> str:
    """Return the permitted verbs for people, e.g. "decode and encode"."""
    return " and ".join(verb for verb in ("decode", "encode") if getattr(row, verb))
