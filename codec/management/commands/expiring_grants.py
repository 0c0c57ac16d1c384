import json
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from codec.command import AccessCommand
from codec.models import Grant


class Command(AccessCommand):
    help = "List the grants that end soon, the first to end first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=7, help="how soon (7)")
        parser.add_argument("--json", action="store_true", help="write a JSON array")

    def run(self, *, days: int, json: bool, **options: Any) -> None:
        now = timezone.now()
        ending = Grant.objects.not_over(now).filter(ends_at__lte=now + timedelta(days=days)).order_by("ends_at", "pk")
        grants = list(ending.select_related("user", "group", "namespace"))
        self.stdout.write(_as_json(grants) if json else "\n".join(map(_line, grants)) or "No grant ends that soon.")


def _as_json(grants: list[Grant]) -> str:
    return json.dumps([_describe(grant) for grant in grants])


def _describe(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.pk,
        "user": grant.user.username if grant.user else None,
        "group": grant.group.name if grant.group else None,
        "namespace": grant.namespace.name,
        "verbs": grant.verbs,
        "state": grant.state,
        "source": str(grant.source),
        "starts_at": grant.starts_at.isoformat(),
        "ends_at": grant.ends_at.isoformat() if grant.ends_at else None,
        "granted_by": grant.granted_by,
        "reason": grant.reason,
        "ticket": grant.ticket,
    }


def _line(grant: Grant) -> str:
    whom = f"group {grant.group}" if grant.group else str(grant.user)
    return f"{grant.ends_at:%Y-%m-%d %H:%M} UTC  {whom:30} {grant.namespace.name:24} {grant.verbs} ({grant.source})"
