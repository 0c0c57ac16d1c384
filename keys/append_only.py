"""Triggers that refuse to change or remove an audit record, on SQLite and PostgreSQL.

SQLite's INSERT OR REPLACE fires no DELETE trigger, so inserting over an existing row is refused as well. Who owns
the database can drop triggers; what they change then shows in the chain (keys/verification.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, migrations

from keys import epoch

_REFUSE = "SELECT RAISE(ABORT, 'audit records are append-only');"
# An id of -1 is SQLite's word for "not given". The event id has no unique constraint, so nothing is replaced by it.
_EXISTING = (
    "(NEW.id <> -1 AND EXISTS (SELECT 1 FROM keys_auditrecord WHERE id = NEW.id)) OR "
    "EXISTS (SELECT 1 FROM keys_auditrecord WHERE chain_id = NEW.chain_id AND sequence = NEW.sequence)"
)

SQLITE = {
    "audit_no_update": f"BEFORE UPDATE ON keys_auditrecord BEGIN {_REFUSE} END",
    "audit_no_delete": f"BEFORE DELETE ON keys_auditrecord BEGIN {_REFUSE} END",
    "audit_no_replace": f"BEFORE INSERT ON keys_auditrecord WHEN {_EXISTING} BEGIN {_REFUSE} END",
}
POSTGRESQL = {
    "audit_no_change": "BEFORE UPDATE OR DELETE ON keys_auditrecord FOR EACH ROW",
    "audit_no_truncate": "BEFORE TRUNCATE ON keys_auditrecord FOR EACH STATEMENT",
}
_FUNCTION = "audit_refuse_change"
_CREATE_FUNCTION = (
    f"CREATE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'audit records are append-only'; END $$"
)


def install_statements(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [f"CREATE TRIGGER {name} {rule}" for name, rule in SQLITE.items()]
    statements = [_CREATE_FUNCTION]
    for name, rule in POSTGRESQL.items():
        statements.append(f"CREATE TRIGGER {name} {rule} EXECUTE FUNCTION {_FUNCTION}()")
        # fires even under session_replication_role = replica
        statements.append(f"ALTER TABLE keys_auditrecord ENABLE ALWAYS TRIGGER {name}")
    return statements


def lift_statements(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER {name}" for name in SQLITE]
    return [f"DROP TRIGGER {name} ON keys_auditrecord" for name in POSTGRESQL] + [f"DROP FUNCTION {_FUNCTION}()"]


@contextmanager
def lifted() -> Iterator[None]:
    """Take the triggers away for the statements of the block, which are in a transaction with what takes them away.

    If the block fails, the transaction is rolled back, and they were never gone. On PostgreSQL this needs the role that
    owns the table, and others wait for the end of the transaction.
    """
    assert connection.in_atomic_block  # noqa: S101
    _execute(lift_statements(connection.vendor))
    yield
    _execute(install_statements(connection.vendor))


def missing_triggers() -> list[str]:
    """Return the names of those triggers that the database lacks, or has disabled."""
    wanted = SQLITE if connection.vendor == "sqlite" else POSTGRESQL
    return sorted(wanted.keys() - epoch.present_triggers())


def may_be_lifted() -> bool:
    """Return whether the role of this connection owns the table. On SQLite everybody does who can write the file."""
    return connection.vendor == "sqlite" or _ask(
        "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'keys_auditrecord'::regclass"
    )


def role_has_more_rights_than_needed() -> bool:
    """Return whether the role of this connection was given what a server needs never. False on SQLite."""
    return connection.vendor == "postgresql" and _ask(
        "SELECT has_table_privilege('keys_auditrecord', 'UPDATE, DELETE, TRUNCATE, TRIGGER')"
    )


def _ask(question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.fetchone()[0])


def _execute(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def install() -> migrations.RunPython:
    """Return the migration operation that makes the table append-only."""

    def run(make: Any) -> Any:
        def operation(apps: Any, schema_editor: Any) -> None:
            for statement in make(schema_editor.connection.vendor):
                schema_editor.execute(statement, params=None)

        return operation

    return migrations.RunPython(run(install_statements), run(lift_statements))
