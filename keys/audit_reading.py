"""Who looks into the audit stands in it: once per person, kind of page and ten minutes, so that it stays readable.

Called before the page is made. If it cannot be recorded, there is no page.
"""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from django.utils import timezone

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.audit_chain import MANAGEMENT
from keys.models import AuditRecord

ONCE_IN = timedelta(minutes=10)


class Page(StrEnum):
    """The kinds of pages, and of files made from them."""

    RECORDS = "audit records"
    VIEWINGS = "viewings"
    REPORT = "review report"
    REPORT_FILE = "review report, CSV"


def note_reading(page: Page, *, actor: Actor) -> UUID:
    """Return the event id of the record that says it: a new one, or the person's of the last ten minutes."""
    recent = AuditRecord.objects.filter(
        chain=MANAGEMENT,
        action=AuditAction.AUDIT_READ,
        at__gt=timezone.now() - ONCE_IN,
        actor_id=actor.id,
        details__page=page,
    )
    said = recent.order_by("-at").values_list("event_id", flat=True).first()
    return said or audit.record(AuditAction.AUDIT_READ, actor=actor, details={"page": page}).event_id
