"""Namespaces, their key versions, and the audit records."""

from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from keys.names import is_namespace_name


def validate_namespace_name(name: str) -> None:
    if not is_namespace_name(name):
        raise ValidationError("Use letters, digits, dots, underscores and hyphens, starting with a letter or digit.")


class Namespace(models.Model):
    """A Temporal Namespace: the unit of keys and grants."""

    class DeniedDecode(models.TextChoices):
        REFUSE = "refuse", "Refuse with 403"
        RETURN_ENCODED = "return_encoded", "Return the payloads still encoded"

    class CodecChain(models.TextChoices):
        ZLIB = "zlib,aes-gcm", "zlib when it helps, then AES-GCM"
        GZIP = "gzip,aes-gcm", "gzip when it helps, then AES-GCM"
        SNAPPY = "snappy,aes-gcm", "snappy when it helps, then AES-GCM"
        PLAIN = "aes-gcm", "AES-GCM alone"

    name = models.CharField(max_length=255, unique=True, validators=[validate_namespace_name])
    denied_decode = models.CharField(
        "a decode without a grant",
        max_length=20,
        choices=DeniedDecode,
        default=DeniedDecode.REFUSE,
        help_text="Refused, the Web UI shows an error; otherwise the unreadable payload. Both are audited as denied.",
    )
    codec_chain = models.CharField("what /encode does", max_length=40, choices=CodecChain, default=CodecChain.ZLIB)
    rotation_period_days = models.PositiveIntegerField(
        "rotate every (days)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Empty: only by hand. Due rotations are made by `manage.py rotate_due_keys`, run from a scheduler.",
    )
    next_rotation_at = models.DateTimeField("next rotation", null=True, blank=True, editable=False)
    expected_encryptions_per_day = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="Workers encrypt by themselves, so nobody can count. With a rate entered here, the share of the "
        "2^32 encryptions that one key may make is estimated.",
    )
    history_retention_days = models.PositiveIntegerField(
        default=90,
        help_text="How long Temporal may still hold payloads: the namespace's retention plus archival.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class KeyVersion(models.Model):
    """A numbered data key of a namespace, stored wrapped.

    `wrapped` holds what the KEK provider `kek_id` made of the 32-byte key (layout: keys/wrapping/).
    `check_value` is the first 8 bytes of HMAC-SHA256(key, "codec-kcv-v1" || lp(namespace) || lp(key id)),
    lp being a 4-byte big-endian length and the UTF-8 text: it proves an unwrapped key right and survives a rewrap.
    """

    class State(models.TextChoices):
        ENABLED = "ENABLED"
        DISABLED = "DISABLED"
        DESTROY_SCHEDULED = "DESTROY_SCHEDULED"
        DESTROYED = "DESTROYED"

    class Origin(models.TextChoices):
        GENERATED = "generated"
        IMPORTED = "imported"

    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="key_versions")
    number = models.PositiveIntegerField()
    key_id = models.CharField(max_length=255)
    key_id_digest = models.CharField(max_length=64, editable=False)
    state = models.CharField(max_length=20, choices=State, default=State.ENABLED)
    is_primary = models.BooleanField(default=False)
    origin = models.CharField(max_length=10, choices=Origin)
    kek_id = models.CharField("KEK", max_length=255)
    wrapped = models.BinaryField(null=True, editable=False, serialize=False)  # not in dumpdata
    check_value = models.BinaryField(max_length=8, editable=False, serialize=False)
    created_at = models.DateTimeField(auto_now_add=True)
    state_changed_at = models.DateTimeField(default=timezone.now)
    last_primary_at = models.DateTimeField(null=True, help_text="When it stopped being the primary.")
    destroy_at = models.DateTimeField(null=True, help_text="When its scheduled destruction falls due.")

    class Meta:
        ordering = ["namespace__name", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["namespace", "number"], name="key_version_number_unique"),
            models.UniqueConstraint(fields=["namespace", "key_id"], name="key_version_id_unique"),
            models.UniqueConstraint(fields=["namespace", "key_id_digest"], name="key_version_digest_unique"),
            models.UniqueConstraint(fields=["namespace"], condition=Q(is_primary=True), name="one_primary"),
            models.CheckConstraint(condition=Q(is_primary=False) | Q(state="ENABLED"), name="primary_is_enabled"),
            models.CheckConstraint(
                condition=Q(state__in=["ENABLED", "DISABLED", "DESTROY_SCHEDULED", "DESTROYED"]), name="state_known"
            ),
            models.CheckConstraint(
                condition=Q(state="DESTROYED", wrapped__isnull=True)
                | (~Q(state="DESTROYED") & Q(wrapped__isnull=False)),
                name="destroyed_has_no_material",
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="number_starts_at_one"),
            models.CheckConstraint(
                condition=Q(state="DESTROY_SCHEDULED", destroy_at__isnull=False)
                | (~Q(state="DESTROY_SCHEDULED") & Q(destroy_at__isnull=True)),
                name="scheduled_has_a_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.key_id}"


class KeyUse(models.Model):
    """How often a key version was used through this server on one day (UTC): a summary of the audit (keys/usage.py)."""

    version = models.ForeignKey(KeyVersion, on_delete=models.CASCADE, related_name="uses")
    day = models.DateField()
    decoded = models.PositiveBigIntegerField(default=0)
    encoded = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "day"], name="key_use_per_day")]

    def __str__(self) -> str:
        return f"{self.version} on {self.day}"


class UsageCursor(models.Model):
    """How far the summary of KeyUse has read the audit. One row."""

    last_record_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last_record_id)


class PolicyEpoch(models.Model):
    """One row whose number moves whenever a right can shrink or change. Database triggers move it (keys/epoch.py)."""

    number = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.number)


class AppendOnlyQuerySet(models.QuerySet["AuditRecord"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("Audit records are never changed.")

    def delete(self) -> NoReturn:
        raise TypeError("Audit records are never deleted.")


class AuditChain(models.Model):
    """One chain of audit records, and its head: the sequence and MAC of its last record.

    What people do stands in the chain `management`; codec requests in one chain per server process. `floor_*` is
    the last record that retention has dropped; (0, the chain's genesis, no seal) before that. See keys/audit_chain.py.
    """

    name = models.CharField(max_length=64, primary_key=True)
    opened_at = models.DateTimeField()
    sequence = models.BigIntegerField(default=0)
    mac = models.BinaryField(max_length=32)
    floor_sequence = models.BigIntegerField(default=0)
    floor_mac = models.BinaryField(max_length=32)
    floor_seal = models.BinaryField(max_length=32, default=bytes)

    class Meta:
        ordering = ["opened_at", "name"]

    def __str__(self) -> str:
        return self.name


class AuditRecord(models.Model):
    """One append-only line of the logbook. Written by keys.audit only; database triggers refuse any change.

    `mac` chains it to the record before it (keys/audit_chain.py). `fingerprints` holds 16 bytes for every layer of
    encryption that the request opened (keys/fingerprints.py).
    """

    class Outcome(models.TextChoices):
        ALLOWED = "allowed"
        DENIED = "denied"
        FAILED = "failed"

    chain = models.ForeignKey(AuditChain, on_delete=models.PROTECT, related_name="records", db_index=False)
    sequence = models.BigIntegerField()
    mac = models.BinaryField(max_length=32, editable=False)
    event_id = models.UUIDField(editable=False)
    at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField("reason code", max_length=40, blank=True)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_name = models.CharField("who", max_length=150, blank=True)
    credential = models.CharField(max_length=64, blank=True)
    namespace = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=64, blank=True)
    web_origin = models.CharField("origin", max_length=64, blank=True)
    user_agent = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    instance = models.CharField(max_length=64)
    details = models.JSONField(default=dict)
    fingerprints = models.BinaryField(default=bytes, editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["chain", "sequence"], name="audit_sequence_unique")]
        indexes = [  # few, and those for few rows: each costs every codec request (docs/audit-at-scale.md)
            models.Index(F("at"), F("actor_id"), condition=Q(outcome="denied"), name="audit_denied"),
            models.Index(F("action"), F("at"), condition=Q(chain="management"), name="audit_management"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.outcome}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Audit records are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Audit records are never deleted.")


class FingerprintEntry(models.Model):
    """Which audit record holds a fingerprint: an index over the records (keys/fingerprint_index.py)."""

    pk = models.CompositePrimaryKey("fingerprint", "record_id")
    fingerprint = models.BinaryField(max_length=16)
    record_id = models.BigIntegerField()  # no foreign key: retention drops records by the thousand

    def __str__(self) -> str:
        return f"{bytes(self.fingerprint).hex()} in {self.record_id}"


class FingerprintCursor(models.Model):
    """How far the index of fingerprints has come in a chain."""

    chain = models.OneToOneField(
        AuditChain, on_delete=models.PROTECT, primary_key=True, related_name="fingerprint_cursor"
    )
    sequence = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.chain_id} {self.sequence}"


from keys.review.models import HourOfPerson, Review, Viewing, ViewingCursor, ViewingMark  # noqa: E402, F401  tables of this app
