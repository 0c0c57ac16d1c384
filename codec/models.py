"""People, their sessions, and their rights."""

from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser, Group
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from keys.models import Namespace

TOKEN_VERBS = ("decode", "encode")
LABEL_LENGTH = 12  # of the digits of a digest that name a session or a token


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
        return self.session_key[:LABEL_LENGTH]


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
        verbose_name = "API token"
        constraints = [models.CheckConstraint(condition=Q(decode=True) | Q(encode=True), name="token_allows_something")]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @property
    def label(self) -> str:
        """The digits that audit records name it by. They open nothing."""
        return self.digest[:LABEL_LENGTH]

    @property
    def verbs(self) -> str:
        return verbs_of(self)

    @property
    def namespace_names(self) -> list[str] | None:
        """Where it is good for something; None: everywhere."""
        return None if self.every_namespace else sorted(namespace.name for namespace in self.namespaces.all())

    @property
    def reach(self) -> str:
        """The same for people, e.g. "payments, refunds"."""
        names = self.namespace_names
        return "every namespace" if names is None else ", ".join(names) or "no namespace"

    @property
    def state(self) -> str:
        """One of "revoked", "expired", "in force"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "in force"


class GrantQuerySet(models.QuerySet["Grant"]):
    def not_over(self, now: datetime) -> "GrantQuerySet":
        """Grants that permit something now, or will."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=now), revoked_at=None)

    def in_force(self, now: datetime) -> "GrantQuerySet":
        return self.not_over(now).filter(starts_at__lte=now)

    def reaching(self, user_id: int) -> "GrantQuerySet":
        """Grants to this user, and to the groups that they are in now."""
        groups = User.groups.through.objects.filter(user_id=user_id).values("group_id")
        return self.filter(Q(user_id=user_id) | Q(group_id__in=groups))


class Grant(models.Model):
    """Permission of a user, or of everybody in a group, on one namespace, from one moment until another.

    It is revoked, never deleted, and never changed. Several can be in force at once, so that an hour that was asked
    for does not end what somebody has anyway: what any of them permits, is permitted.
    """

    class Source(models.TextChoices):
        BY_HAND = "by hand", "by hand"
        REQUEST = "request", "request"
        BREAK_GLASS = "break-glass", "break-glass"
        SSO_GROUP = "SSO group", "SSO group"

    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="grants")
    group = models.ForeignKey("auth.Group", on_delete=models.PROTECT, null=True, blank=True, related_name="grants")
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="grants")
    decode = models.BooleanField(default=False, help_text="May read plaintext: /decode.")
    encode = models.BooleanField(default=False, help_text="May write payloads that Workers trust: /encode.")
    download = models.BooleanField(default=False, help_text="May fetch payloads from external storage: /download.")
    lease = models.BooleanField("lease keys", default=False, help_text="May fetch data keys: for Workers alone.")
    starts_at = models.DateTimeField("from")
    ends_at = models.DateTimeField("until", null=True, blank=True)
    reason = models.CharField(max_length=200)
    ticket = models.CharField(max_length=60, blank=True)
    source = models.CharField(max_length=12, choices=Source, default=Source.BY_HAND)
    granted_by = models.CharField(max_length=150)
    granted_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoke_reason = models.CharField(max_length=200, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["-granted_at", "-id"]
        permissions = [("give_open_ended_grant", "Can give grants that have no end")]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True, group__isnull=False) | Q(user__isnull=False, group__isnull=True),
                name="grant_to_a_user_or_a_group",
                violation_error_message="Choose a user or a group.",
            ),
            models.CheckConstraint(
                condition=Q(decode=True) | Q(encode=True) | Q(download=True) | Q(lease=True),
                name="grant_allows_something",
                violation_error_message="Choose at least one thing that the grant permits.",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="grant_ends_after_it_starts",
                violation_error_message="The grant must end after it starts.",
            ),
            models.CheckConstraint(
                condition=Q(source__in=["by hand", "request", "break-glass", "SSO group"]), name="grant_source_known"
            ),
            models.CheckConstraint(
                condition=~Q(source="break-glass") | Q(user__isnull=False, ends_at__isnull=False),
                name="break_glass_is_for_one_person_and_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} on {self.namespace}"

    @property
    def subject(self) -> "User | Group":
        """The user or the group. Grants that are shown should be loaded with both."""
        subject = self.user or self.group
        assert subject is not None  # noqa: S101  a constraint has seen to it
        return subject

    @property
    def state(self) -> str:
        """One of "revoked", "expired", "not yet", "in force"."""
        return self.state_at(timezone.now())

    def state_at(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        if self.ends_at is not None and self.ends_at <= now:
            return "expired"
        return "not yet" if self.starts_at > now else "in force"

    @property
    def in_force(self) -> bool:
        return self.state == "in force"

    def is_over_at(self, now: datetime) -> bool:
        return self.state_at(now) in {"revoked", "expired"}

    @property
    def is_over(self) -> bool:
        return self.is_over_at(timezone.now())

    @property
    def is_break_glass(self) -> bool:
        return self.source == self.Source.BREAK_GLASS

    @property
    def verbs(self) -> str:
        return verbs_of(self)


class NamespacePolicy(models.Model):
    """Who answers requests for a namespace and for how long at most; and who may help themselves in an emergency."""

    namespace = models.OneToOneField(Namespace, on_delete=models.PROTECT, related_name="policy")
    approvers = models.ForeignKey(
        "auth.Group",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Its members answer requests. Empty: everybody with the permission to give grants.",
    )
    max_request_hours = models.PositiveIntegerField(
        "longest request (hours)",
        default=168,
        validators=[MinValueValidator(1), MaxValueValidator(8760)],
        help_text="What is approved ends after this time at the latest.",
    )
    break_glass_group = models.ForeignKey(
        "auth.Group",
        verbose_name="break-glass group",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Its members may take a short grant at once, without asking. Empty: nobody.",
    )
    break_glass_minutes = models.PositiveIntegerField(
        "longest break-glass (minutes)", default=60, validators=[MinValueValidator(5), MaxValueValidator(1440)]
    )

    class Meta:
        ordering = ["namespace__name"]
        verbose_name_plural = "namespace policies"

    def __str__(self) -> str:
        return f"Policy of {self.namespace}"


class AccessRequest(models.Model):
    """A person asks to use a namespace for a while. The name is as typed: there may be no such namespace."""

    class Outcome(models.TextChoices):
        APPROVED = "approved", "approved"
        DENIED = "denied", "denied"
        WITHDRAWN = "withdrawn", "withdrawn"
        LAPSED = "lapsed", "lapsed"

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="access_requests")
    namespace_name = models.CharField("namespace", max_length=255)
    encode = models.BooleanField("also encode", default=False)
    hours = models.PositiveIntegerField("for how long (hours)")
    reason = models.CharField(max_length=200)
    ticket = models.CharField(max_length=60, blank=True)
    made_at = models.DateTimeField()
    lapses_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=200, blank=True)
    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, null=True, related_name="request")

    class Meta:
        ordering = ["-made_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "namespace_name"], condition=Q(outcome=""), name="one_open_request"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", "approved", "denied", "withdrawn", "lapsed"]), name="outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome="approved", grant__isnull=False) | (~Q(outcome="approved") & Q(grant__isnull=True)),
                name="approved_has_a_grant",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} asks for {self.namespace_name}"

    @property
    def state(self) -> str:
        """One of "waiting", "approved", "denied", "withdrawn", "lapsed": lapsed as soon as it is, written or not."""
        if self.outcome:
            return self.outcome
        return "lapsed" if self.lapses_at <= timezone.now() else "waiting"

    @property
    def is_waiting(self) -> bool:
        return self.state == "waiting"


VERBS = {"decode": "decode", "encode": "encode", "download": "download", "lease": "lease keys"}


def verbs_of(row: ApiToken | Grant) -> str:
    """Return the permitted verbs for people, e.g. "decode, encode and lease keys"."""
    *first, last = [words for verb, words in VERBS.items() if getattr(row, verb, False)] or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last
