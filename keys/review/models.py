"""Viewings and their reviews: summaries of the audit, which can be made anew from it.

Rows are deleted by keys/review/viewings.py alone, which sees to what refers to them (DO_NOTHING: in one statement).
"""

from django.db import models
from django.db.models import F


class Viewing(models.Model):
    """What one person did in one namespace with one credential, without a pause (keys/review/grouping.py).

    `first_event_id`, that of its first audit record, names it wherever it is spoken of: it is the same after a
    rebuild. `actor_id` is "<kind> <name>" for somebody without an id. `read` and `written` count the payloads of
    allowed requests, as do `keys` (by key version); `addresses` counts requests, `reasons` those that were denied or
    failed, `not_enabled` the ones that named a key version which was not ENABLED. `review` is the last one that
    covers the viewing as it is, `reviewed_at` the time of the first.
    """

    class Status(models.TextChoices):
        OPEN = "open", "Not reviewed"
        FOLLOW_UP = "follow_up", "Follow up"
        REVIEWED = "reviewed", "Reviewed"

    first_event_id = models.UUIDField(unique=True)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_name = models.CharField("who", max_length=150, blank=True)
    namespace = models.CharField(max_length=255, blank=True)
    credential = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField("from")
    ended_at = models.DateTimeField("until")
    requests = models.PositiveBigIntegerField()
    read = models.PositiveBigIntegerField("payloads read")
    written = models.PositiveBigIntegerField("payloads written")
    bytes = models.PositiveBigIntegerField()
    denied = models.PositiveBigIntegerField("requests denied")
    failed = models.PositiveBigIntegerField("requests failed")
    break_glass = models.PositiveBigIntegerField("requests with break-glass")
    keys = models.JSONField(default=dict)
    addresses = models.JSONField(default=dict)
    reasons = models.JSONField(default=dict)
    not_enabled = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    review = models.ForeignKey("Review", on_delete=models.DO_NOTHING, null=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    is_marked = models.BooleanField(default=False)

    class Meta:
        ordering = ["started_at", "id"]
        default_permissions = ("view",)
        permissions = [("review_viewing", "Can review viewings of others")]
        indexes = [
            models.Index(F("status"), F("started_at"), F("id"), name="viewing_by_status"),
            models.Index(F("started_at"), F("id"), name="viewing_by_start"),
            models.Index(F("namespace"), F("started_at"), F("status"), name="viewing_by_namespace"),
            models.Index(F("actor_name"), F("started_at"), F("status"), name="viewing_by_name"),
            models.Index(F("actor_id"), F("started_at"), name="viewing_by_actor"),
            models.Index(
                F("actor_id"), F("started_at"), condition=models.Q(is_marked=False), name="viewing_without_marks"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} in {self.namespace}, {self.started_at:%Y-%m-%d %H:%M}"


class HourOfPerson(models.Model):
    """What a person did in one hour (keys/review/hours.py). `alerted` names the columns of which auditors were told."""

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150, blank=True)
    hour = models.DateTimeField()
    payloads = models.PositiveBigIntegerField(default=0)
    denied = models.PositiveBigIntegerField(default=0)
    break_glass = models.PositiveBigIntegerField(default=0)
    alerted = models.JSONField(default=list)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["actor_kind", "actor_id", "hour"], name="hour_of_person_unique")]

    def __str__(self) -> str:
        return f"{self.actor_name} at {self.hour:%Y-%m-%d %H}"


class ViewingMark(models.Model):
    """Something about a viewing that a reviewer should not overlook (keys/review/marks.py)."""

    class Kind(models.TextChoices):
        BREAK_GLASS = "break_glass", "Break-glass"
        KEY_NOT_ENABLED = "key_not_enabled", "Key not enabled"
        DENIED = "denied", "Denied requests"
        UNUSUAL_VOLUME = "unusual_volume", "Unusual volume"
        FIRST_TIME = "first_time", "First time here"

    viewing = models.ForeignKey(Viewing, on_delete=models.DO_NOTHING, related_name="marks")
    kind = models.CharField(max_length=20, choices=Kind)
    reason = models.CharField(max_length=300)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["viewing", "kind"], name="viewing_mark_unique")]
        indexes = [models.Index(F("kind"), F("viewing"), name="viewing_mark_by_kind")]

    def __str__(self) -> str:
        return self.reason


class Review(models.Model):
    """What an auditor said of a viewing: a copy of the audit record `event_id`, which is what counts.

    It covers the viewing while that still has `requests` requests; if later records make it grow, it waits again.
    """

    class Verdict(models.TextChoices):
        REVIEWED = "viewing:reviewed", "Reviewed"
        FOLLOW_UP = "viewing:flagged", "Follow up"

    event_id = models.UUIDField(unique=True)
    viewing_event_id = models.UUIDField(db_index=True)
    requests = models.PositiveBigIntegerField()
    verdict = models.CharField(max_length=20, choices=Verdict)
    note = models.CharField(max_length=500, blank=True)
    reviewer_id = models.CharField(max_length=64)
    reviewer_name = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.reviewer_name}"


class ViewingCursor(models.Model):
    """How far the viewings have come in one chain of the audit. The row of the management chain is the lock of all."""

    chain = models.CharField(max_length=64, primary_key=True)
    sequence = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.chain} {self.sequence}"
