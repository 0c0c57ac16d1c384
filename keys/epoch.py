"""The policy epoch: one number that moves when a right can shrink or change, anywhere, by whomever.

Triggers in the database move it, in the transaction of the change, so that no writer can forget: the ORM's
`update`, many-to-many changes, plain SQL. What a process remembers carries the epoch it was made under and is
worth nothing under another. The transaction that commits the record of a decode reads the epoch first; if it has
moved, the request is decided afresh.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection, migrations

from keys.errors import KeysError, VaultUnavailable
from keys.models import PolicyEpoch

_FUNCTION = "policy_epoch_move"
_MOVE = "UPDATE keys_policyepoch SET number = number + 1;"


class PolicyMoved(KeysError):
    """A right may have changed since this request was decided. Decide it afresh."""


def read() -> int:
    """Return the epoch. Raises VaultUnavailable when its row is missing: without it nothing may be remembered."""
    number = PolicyEpoch.objects.values_list("number", flat=True).first()
    if number is None:
        raise VaultUnavailable("The policy epoch is missing. Run `manage.py migrate`.")
    return number


def ensure_row(**kwargs: Any) -> None:
    """Create the row when it is not there (receiver of post_migrate)."""
    PolicyEpoch.objects.get_or_create(pk=1, defaults={"number": 1})


@dataclass(frozen=True, slots=True)
class Trigger:
    """Moves the epoch when a row of `table` sees `event`; an UPDATE only when one of `columns` changes.

    `only_if` narrows it further, as SQL over OLD and NEW that both databases understand.
    """

    table: str
    event: str
    columns: tuple[str, ...] = ()
    only_if: str = ""

    @property
    def name(self) -> str:
        return f"policy_epoch_{self.table}_{self.event.lower()}"

    def create(self, vendor: str) -> str:
        when = f"WHEN ({condition})" if (condition := self._condition(vendor)) else ""
        head = f"CREATE TRIGGER {self.name} AFTER {self.event} ON {self.table} FOR EACH ROW {when}"
        if vendor == "postgresql":
            return f"{head} EXECUTE FUNCTION {_FUNCTION}()"
        return f"{head} BEGIN {_MOVE} END"

    def drop(self, vendor: str) -> str:
        return f"DROP TRIGGER {self.name}" + (f" ON {self.table}" if vendor == "postgresql" else "")

    def _condition(self, vendor: str) -> str:
        differs = "IS DISTINCT FROM" if vendor == "postgresql" else "IS NOT"
        changed = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in self.columns)
        return " AND ".join(f"({part})" for part in (changed, self.only_if) if part)


def on_every_change(table: str, *, of: tuple[str, ...] = ()) -> list[Trigger]:
    """Return triggers for rows that come, go, or change in the columns `of` (any column by default)."""
    return [Trigger(table, "INSERT"), Trigger(table, "UPDATE", of), Trigger(table, "DELETE")]


TRIGGERS = [
    *on_every_change("keys_namespace", of=("name", "retired_at", "denied_decode", "codec_chain")),
    *on_every_change(
        "keys_keyversion", of=("namespace_id", "key_id", "key_id_digest", "state", "is_primary", "number")
    ),
]


known_triggers: list[Trigger] = [*TRIGGERS]  # the door adds its own when it is ready


def install(triggers: list[Trigger]) -> migrations.RunPython:
    """Return the migration operation that creates `triggers`."""

    def create(apps: Any, schema_editor: Any) -> None:
        for trigger in triggers:
            schema_editor.execute(trigger.create(schema_editor.connection.vendor), params=None)

    def drop(apps: Any, schema_editor: Any) -> None:
        for trigger in triggers:
            schema_editor.execute(trigger.drop(schema_editor.connection.vendor), params=None)

    return migrations.RunPython(create, drop)


def install_function() -> migrations.RunPython:
    """Return the migration operation that creates what PostgreSQL's triggers call."""

    def create(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            body = f"BEGIN {_MOVE} RETURN NULL; END"
            sql = f"CREATE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"
            schema_editor.execute(sql, params=None)

    def drop(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP FUNCTION {_FUNCTION}()", params=None)

    return migrations.RunPython(create, drop)


def missing_triggers() -> list[str]:
    """Return the names of known triggers that the database lacks, or has disabled."""
    present = present_triggers()
    return sorted(trigger.name for trigger in known_triggers if trigger.name not in present)


def present_triggers() -> set[str]:
    """Return the names of all triggers in the database that are not disabled."""
    catalog = {
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    }
    with connection.cursor() as cursor:
        cursor.execute(catalog[connection.vendor])
        return {name for (name,) in cursor.fetchall()}
