"""What a person has read and written of late, as auditors see it."""

from codec.models import User
from keys.actor import ActorKind
from keys.review import viewings
from keys.review.models import Viewing

_PATIENCE = 1.0  # seconds that the page spends on catching up with the audit
_ROWS = 20


def recent_viewings(user: User) -> list[Viewing]:
    """Return the person's own viewings, the latest first."""
    viewings.refresh(seconds=_PATIENCE)
    own = Viewing.objects.filter(actor_kind=ActorKind.USER, actor_id=str(user.pk))
    return list(own.order_by("-started_at", "-pk")[:_ROWS])
