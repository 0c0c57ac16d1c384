"""The statements behind a codec request's audit record: three for as many records as come together.

On SQLite they go to the sqlite3 connection as they are. Django's cursor would rewrite their placeholders each time,
and executemany would give Python's lock away and take it back for every row; one INSERT does so once (ADR 6).
`execute` says on which connection: on this thread's, by the function here, or on the event loop's.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import connection, transaction

from keys.audit_line import INSERT
from keys.audit_mould import Line
from keys.portions import turn

_READ = (
    "SELECT keys_policyepoch.number, keys_auditchain.sequence, keys_auditchain.mac "
    "FROM keys_policyepoch, keys_auditchain WHERE keys_auditchain.name = %s"
)
_MOVE_HEAD = "UPDATE keys_auditchain SET sequence = %s, mac = %s WHERE name = %s AND sequence = %s"
_MOST_ROWS = 50  # of one statement; SQLite keeps its plan

Execute = Callable[[str, Sequence[Any]], Any]


@contextmanager
def committed() -> Iterator[None]:
    """Commit what the block writes, or nothing of it. Raises django.db.DatabaseError.

    On SQLite it does what transaction.atomic() does there, at a fraction of the cost.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    connection.ensure_connection()
    with turn():
        execute("BEGIN IMMEDIATE", [])
        try:
            yield
            execute("COMMIT", [])
        except BaseException:
            if connection.connection.in_transaction:
                execute("ROLLBACK", [])
            raise


def read_epoch_and_head(execute: Execute, chain: str) -> tuple[int, int, bytes] | None:
    """Return the policy epoch, and the sequence and MAC of the chain's head; None when there is no such chain."""
    row = execute(_READ, [chain]).fetchone()
    return (row[0], row[1], bytes(row[2])) if row else None


def insert(execute: Execute, lines: list[Line]) -> None:
    """Insert the lines. Raises django.db.DatabaseError."""
    if connection.vendor == "sqlite":
        for start in range(0, len(lines), _MOST_ROWS):
            some = lines[start : start + _MOST_ROWS]
            execute(_insert_rows(len(some)), [value for line in some for value in line.row()])
    else:
        with connection.cursor() as cursor:
            cursor.executemany(INSERT, [line.row() for line in lines])


def move_head(execute: Execute, chain: str, read_at: int, sequence: int, mac: bytes) -> bool:
    """Move the chain's head. False when it is no longer where it was read."""
    return bool(execute(_MOVE_HEAD, [sequence, mac, chain, read_at]).rowcount == 1)


def execute(sql: str, values: Sequence[Any]) -> Any:
    """Execute on this thread's connection; return the cursor after the statement. Raises django.db.DatabaseError."""
    if connection.vendor == "sqlite":
        with connection.wrap_database_errors:
            return connection.connection.execute(for_sqlite(sql), values)
    cursor = connection.cursor()
    cursor.execute(sql, values)
    return cursor


@cache
def for_sqlite(sql: str) -> str:
    """Return the statement with the placeholders of sqlite3."""
    return sql.replace("%s", "?")


@cache
def _insert_rows(count: int) -> str:
    head, _, row = INSERT.partition(" VALUES ")
    return f"{head} VALUES {', '.join([row] * count)}"
