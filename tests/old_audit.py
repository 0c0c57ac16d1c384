"""An audit with old records in a separate installation, and a retirement that dies: run as a process.

python -m tests.old_audit write COUNT           two servers' chains, half of whose records are old
python -m tests.old_audit retire STEP OUTPUT    begin to retire them, and be killed at STEP
python -m tests.old_audit count                 print how many records there are, and how many of them are old
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import django

OLD = timedelta(days=500)
RETENTION = timedelta(days=400)


def write(count: int) -> None:
    from keys.group_commit import GroupCommit
    from tests.audit_lines import decoded

    now = datetime.now(UTC)
    for writer in (GroupCommit(), GroupCommit()):
        for number in range(count):
            decoded(writer, now - OLD if number < count // 2 else now)


def retire(step: str, output: Path) -> None:
    from keys import retirement
    from keys.actor import operator

    with dying_at(step):
        retirement.retire(datetime.now(UTC) - RETENTION, output, actor=operator())


def count() -> None:
    from keys.models import AuditRecord

    old = AuditRecord.objects.filter(at__lt=datetime.now(UTC) - RETENTION).count()
    sys.stdout.write(json.dumps([AuditRecord.objects.count(), old]))


def die(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(step: str) -> Any:
    from keys import audit_export, checkpoints, retirement

    places: dict[str, tuple[Any, str, Callable[..., Any]]] = {
        "writing": (audit_export.Export, "manifest", die),
        "written": (retirement, "_drop", die),
        "lifted": (retirement, "_drop_part", die),
        "one chain dropped": (retirement, "_drop_part", first_time(retirement._drop_part)),
        "all dropped": (retirement.append_only, "install_statements", die),
        "append-only again": (retirement.audit, "record", second_time(retirement.audit.record)),
        "recorded": (retirement.transaction.Atomic, "__exit__", when_recorded(retirement.transaction.Atomic.__exit__)),
        "committed": (checkpoints, "publish", die),
    }
    place, name, replacement = places[step]
    return patch.object(place, name, replacement)


def first_time(act: Callable[..., Any]) -> Callable[..., Any]:
    def act_and_die(*args: Any, **kwargs: Any) -> None:
        act(*args, **kwargs)
        die()

    return act_and_die


def second_time(act: Callable[..., Any]) -> Callable[..., Any]:
    """The first record is that of the export."""
    calls: list[int] = []

    def act_or_die(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return act(*args, **kwargs) if len(calls) == 1 else die()

    return act_or_die


def when_recorded(leave: Callable[..., Any]) -> Callable[..., Any]:
    """Die where the transaction that recorded the retirement would be committed."""
    from keys.models import AuditRecord

    def leave_or_die(*args: Any) -> Any:
        if AuditRecord.objects.filter(action="audit:retired").exists():
            die()
        return leave(*args)

    return leave_or_die


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "codecsite.settings")
    django.setup()
    command, *arguments = sys.argv[1:]
    if command == "write":
        write(int(arguments[0]))
    elif command == "retire":
        retire(arguments[0], Path(arguments[1]))
    else:
        count()
