"""Triggers that refuse to change or remove an audit record, on SQLite and PostgreSQL.

SQLite's INSERT OR REPLACE fires no DELETE trigger, so inserting over an existing row is refused as well. Who owns
the database can drop triggers; what they change then shows in the chain (keys/verification.py).
"""

from typing import Any

from django.db import migrations

_REFUSE = "SELECT RAISE(ABORT, 'audit records are append-only');"
_EXISTING = (
    "SELECT 1 FROM keys_auditrecord "
    "WHERE id = NEW.id OR event_id = NEW.event_id OR (chain_id = NEW.chain_id AND sequence = NEW.sequence)"
)

SQLITE = {
    "audit_no_update": f"BEFORE UPDATE ON keys_auditrecord BEGIN {_REFUSE} END",
    "audit_no_delete": f"BEFORE DELETE ON keys_auditrecord BEGIN {_REFUSE} END",
    "audit_no_replace": f"BEFORE INSERT ON keys_auditrecord WHEN EXISTS ({_EXISTING}) BEGIN {_REFUSE} END",
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


def install() -> migrations.RunPython:
    """Return the migration operation that makes the table append-only."""

    def run(make: Any) -> Any:
        def operation(apps: Any, schema_editor: Any) -> None:
            for statement in make(schema_editor.connection.vendor):
                schema_editor.execute(statement, params=None)

        return operation

    return migrations.RunPython(run(install_statements), run(lift_statements))
