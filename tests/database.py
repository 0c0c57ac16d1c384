"""Two views behind the ORM: a logbook that takes no records, and every column there is."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection
from django.test import TransactionTestCase

from keys import append_only
from keys.audit_chain import MANAGEMENT, Head, append
from keys.audit_line import AuditLine
from keys.models import AuditChain, AuditRecord

TABLE = AuditRecord._meta.db_table
REFUSE_INSERTS = {
    "sqlite": [
        f"CREATE TRIGGER audit_unwritable BEFORE INSERT ON {TABLE} "
        "BEGIN SELECT RAISE(ABORT, 'the audit is unwritable'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION audit_unwritable() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is unwritable'; END $$",
        f"CREATE TRIGGER audit_unwritable BEFORE INSERT ON {TABLE} EXECUTE FUNCTION audit_unwritable()",
    ],
}
ALLOW_INSERTS = {
    "sqlite": ["DROP TRIGGER audit_unwritable"],
    "postgresql": [f"DROP TRIGGER audit_unwritable ON {TABLE}", "DROP FUNCTION audit_unwritable"],
}


@pytest.fixture(scope="session", autouse=True)
def emptying_lifts_append_only() -> Iterator[None]:
    """Take the append-only triggers away while the tables are emptied after a test that commits, and only then."""
    empty = TransactionTestCase._fixture_teardown

    def lift_and_empty(case: TransactionTestCase) -> None:
        _execute(append_only.lift_statements(connection.vendor))
        empty(case)
        _execute(append_only.install_statements(connection.vendor))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lift_and_empty)
        yield


@pytest.fixture
def audit_unwritable(transactional_db: None) -> Iterator[None]:
    """No audit record can be written while the test runs: a full disk, a lost permission, made with a trigger.

    Ask for it last: other fixtures write records.
    """
    _execute(REFUSE_INSERTS[connection.vendor])
    yield
    _execute(ALLOW_INSERTS[connection.vendor])


def stored(line: AuditLine) -> AuditRecord:
    """Return the row that a line has become."""
    return AuditRecord.objects.get(event_id=line.event_id)


def write_lines(*lines: AuditLine, chain: str = MANAGEMENT) -> None:
    """Append lines, whatever their time, to a chain."""
    head = AuditChain.objects.get(pk=chain)
    append(Head(chain, head.sequence, bytes(head.mac)), list(lines))


def _execute(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def every_column() -> Iterator[tuple[str, bytes]]:
    """Yield the place and the content of every field of every row of every table."""
    for model in apps.get_models():
        for row in model._base_manager.values():
            for name, value in row.items():
                content = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                yield f"{model._meta.db_table}.{name}", content
