"""What an administrator should look at, as sentences for the admin's start page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from codec import access_requests, break_glass
from codec.models import Grant, User
from keys.audit import AuditAction, Outcome
from keys.audit_chain import MANAGEMENT
from keys.errors import VaultUnavailable
from keys.models import AuditRecord, KeyVersion, Namespace
from keys.review.models import Viewing
from keys.review.wording import counted
from keys.selftest import check_kek
from keys.usage import estimated_share_of_limit

OLD_KEY = timedelta(days=90)
RECENT = timedelta(days=1)
SOON = timedelta(days=7)
NEAR_LIMIT = 0.5
REVIEW_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence, with the page where something can be done about it. `urgent` ones stand first."""

    text: str
    url: str
    urgent: bool = False


def attention(user: User) -> list[Item]:
    """Return what `user` may look into, urgent items first."""
    items = [item for permission, look in _SECTIONS if user.has_perm(permission) for item in look()]
    return sorted(items, key=lambda item: not item.urgent)


def _kek() -> Iterator[Item]:
    try:
        check_kek(max_age=10)
    except VaultUnavailable as error:
        yield Item(f"The key encryption key does not work, so nothing can be decoded. {error}", "", urgent=True)


def _namespaces() -> Iterator[Item]:
    for namespace in Namespace.objects.filter(retired_at=None):
        url = reverse("admin:keys_namespace_change", args=[namespace.pk])
        primary = KeyVersion.objects.filter(namespace=namespace, is_primary=True).first()
        if primary is None:
            yield Item(f"{namespace} has no primary key: nothing can be encoded there.", url, urgent=True)
            continue
        share = estimated_share_of_limit(primary)
        if namespace.next_rotation_at and namespace.next_rotation_at < timezone.now():
            since = date_format(namespace.next_rotation_at, "j F Y")
            yield Item(
                f"The rotation of {namespace} is overdue since {since}. Does rotate_due_keys run?", url, urgent=True
            )
        elif primary.created_at < timezone.now() - OLD_KEY and not namespace.rotation_period_days:
            yield Item(f"The primary key of {namespace} is older than {OLD_KEY.days} days. Rotate it.", url)
        if share is not None and share > NEAR_LIMIT:
            yield Item(
                f"The primary key of {namespace} nears the limit of 2^32 encryptions. Rotate it.", url, urgent=True
            )


def _grants() -> Iterator[Item]:
    now = timezone.now()
    readers = Count("grants", filter=Q(grants__in=Grant.objects.not_over(now).filter(decode=True)))
    for namespace in Namespace.objects.annotate(readers=readers).filter(readers=0, retired_at=None):
        yield Item(f"Nobody may decode in {namespace} yet. Give the first grant.", reverse("admin:codec_grant_add"))
    disabled = Grant.objects.not_over(now).filter(user__is_active=False).count()
    if disabled:
        yield Item(
            f"{counted(disabled, 'grant')} to disabled users. Revoke what is not needed.",
            reverse("admin:codec_grant_changelist"),
        )
    ending = Grant.objects.in_force(now).filter(ends_at__lte=now + SOON, ends_at__gt=now + RECENT).count()
    if ending:
        yield Item(
            f"{counted(ending, 'grant')} ending within {SOON.days} days.",
            f"{reverse('admin:codec_grant_changelist')}?state=soon",
        )


def _break_glass() -> Iterator[Item]:
    for grant in break_glass.in_use():
        assert grant.ends_at is not None  # noqa: S101  break-glass ends within hours
        until = date_format(grant.ends_at, "j F Y, H:i")
        url = reverse("admin:codec_grant_change", args=[grant.pk])
        yield Item(f"{grant.user} uses break-glass on {grant.namespace} until {until} UTC.", url, urgent=True)


def _requests() -> Iterator[Item]:
    waiting = access_requests.waiting().filter(
        namespace_name__in=Namespace.objects.filter(retired_at=None).values("name")
    )
    if number := waiting.count():
        yield Item(
            f"{counted(number, 'access request')} waiting for an answer.",
            f"{reverse('admin:codec_accessrequest_changelist')}?state=waiting",
        )


def _refused() -> Iterator[Item]:
    since = timezone.now() - RECENT
    denied = AuditRecord.objects.filter(at__gte=since, outcome=Outcome.DENIED, action__startswith="payload:").count()
    if denied:
        url = f"{reverse('admin:keys_auditrecord_changelist')}?outcome__exact={Outcome.DENIED}&q=payload"
        yield Item(f"{counted(denied, 'codec request')} denied in the last 24 hours.", url)


def _alerts() -> Iterator[Item]:
    raised = AuditRecord.objects.filter(
        chain=MANAGEMENT, action=AuditAction.ALERT_RAISED, at__gte=timezone.now() - RECENT
    )
    if number := raised.count():
        url = f"{reverse('admin:keys_auditrecord_changelist')}?action__exact={AuditAction.ALERT_RAISED}"
        yield Item(f"{counted(number, 'alert')} raised in the last 24 hours.", url, urgent=True)


def _viewings() -> Iterator[Item]:
    url = reverse("admin:keys_viewing_changelist")
    waiting = Viewing.objects.filter(status=Viewing.Status.OPEN, ended_at__lt=timezone.now() - REVIEW_WITHIN)
    oldest = waiting.order_by("started_at").first()
    if oldest is not None:
        yield Item(
            f"{counted(waiting.count(), 'viewing')} waiting for review, the oldest since {oldest.ended_at:%Y-%m-%d}.",
            url,
        )
    flagged = Viewing.objects.filter(status=Viewing.Status.FOLLOW_UP).count()
    if flagged:
        yield Item(f"{counted(flagged, 'viewing')} to follow up.", f"{url}?status={Viewing.Status.FOLLOW_UP}")


_SECTIONS = [
    ("keys.view_namespace", _kek),
    ("keys.view_namespace", _namespaces),
    ("codec.view_grant", _grants),
    ("codec.view_grant", _break_glass),
    ("codec.view_accessrequest", _requests),
    ("keys.view_auditrecord", _refused),
    ("keys.review_viewing", _alerts),
    ("keys.review_viewing", _viewings),
]
