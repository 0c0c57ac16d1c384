"""Which viewing does a record belong to?"""

from keys.models import AuditRecord
from keys.review.grouping import Request
from keys.review.models import Viewing


def viewing_of(record: AuditRecord) -> Viewing | None:
    """Return the viewing that sums up this record of a codec request; None if it was not taken in yet."""
    trail = Request(*(getattr(record, name) for name in Request._fields)).trail
    around = Viewing.objects.filter(started_at__lte=record.at, ended_at__gte=record.at)
    return around.filter(**trail._asdict()).order_by("started_at").first()
