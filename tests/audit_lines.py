"""Audit records of any time and place, for tests of what is done with them."""

from datetime import datetime

from keys import audit
from keys.actor import Actor
from keys.audit import AuditAction
from keys.group_commit import GroupCommit
from tests.conftest import OPERATOR
from tests.database import write_lines


def decoded(writer: GroupCommit, at: datetime, *, namespace: str = "payments", actor: Actor = OPERATOR) -> None:
    """Record, in the chain of `writer`, that a payload was decoded."""
    line = audit.compose(AuditAction.PAYLOAD_DECODED, actor=actor, namespace=namespace, details={"payloads": 1})
    line.at = at
    writer.write(line, None)


def managed(at: datetime, action: AuditAction = AuditAction.SESSION_STARTED, **details: object) -> None:
    """Record something in the management chain."""
    line = audit.compose(action, actor=OPERATOR, details=details)
    line.at = at
    write_lines(line)
