"""A connection to SQLite for an event loop: it inserts, and a thread commits.

To insert some rows takes microseconds. What can take long is to wait for another writer and for the disk: so BEGIN
here never waits, and COMMIT is for a thread. Between the two nobody else may use the connection.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connection

from keys import portions
from keys.audit_store import for_sqlite


class LoopConnection:
    """Make it before the loop runs: Django refuses to connect in one."""

    def __init__(self) -> None:
        at_once = {**connection.get_connection_params(), "timeout": 0}
        self._connection: sqlite3.Connection = connection.get_new_connection(at_once)

    def begin(self) -> bool:
        """Begin to write; False when somebody else writes, or is next."""
        if portions.is_turn_taken():
            return False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return False
        return True

    def execute(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        """Raises sqlite3.Error."""
        return self._connection.execute(for_sqlite(sql), values)

    def commit(self) -> None:
        """Raises django.db.DatabaseError; then nothing is committed."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.roll_back()
            raise DatabaseError("COMMIT failed.") from error

    def roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
