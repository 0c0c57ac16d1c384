"""The real server under the role of deploy/postgresql-roles.sql: it works, and cannot touch what it has recorded."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from demo.codec_server import ROOT, Installation, serving
from demo.processes import StartError, free_port
from tests import postgresql
from tests.e2e.shared_database import ORIGIN, CodecClient, OnPostgreSQL, cookie_of_alice

SCRIPT = (ROOT / "deploy" / "postgresql-roles.sql").read_text()
FORBIDDEN = [
    "UPDATE keys_auditrecord SET reason = 'x'",
    "DELETE FROM keys_auditrecord",
    "TRUNCATE keys_auditrecord",
    "TRUNCATE keys_auditrecord CASCADE",
    "DROP TABLE keys_auditrecord",
    "ALTER TABLE keys_auditrecord DISABLE TRIGGER ALL",
    "ALTER TABLE keys_auditrecord DISABLE TRIGGER audit_no_change",
    "ALTER TABLE keys_auditrecord ADD COLUMN x int",
    "ALTER TABLE keys_auditrecord RENAME TO x",
    "ALTER TABLE keys_auditrecord OWNER TO codec_app",
    "DROP TRIGGER audit_no_change ON keys_auditrecord",
    "DROP FUNCTION audit_refuse_change CASCADE",
    "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
    "CREATE TRIGGER x BEFORE INSERT ON keys_auditrecord EXECUTE FUNCTION audit_refuse_change()",
    "CREATE RULE x AS ON INSERT TO keys_auditrecord DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    "SET ROLE codec_owner",
    "INSERT INTO keys_auditrecord SELECT * FROM keys_auditrecord ON CONFLICT (id) DO UPDATE SET reason = 'x'",
    "MERGE INTO keys_auditrecord r USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "COPY keys_auditrecord FROM PROGRAM 'true'",
    "UPDATE keys_auditchain SET floor_sequence = 1",
    "UPDATE keys_auditchain SET floor_mac = mac",
    "DELETE FROM keys_auditchain",
    "TRUNCATE keys_auditchain CASCADE",
    "DELETE FROM keys_keyversion",
    "DELETE FROM codec_grant",
    "DELETE FROM codec_user",
    "DROP TRIGGER policy_epoch_codec_grant_update ON codec_grant",
    "CREATE TABLE x (id int)",
]


@pytest.fixture(scope="module")
def superuser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = postgresql.start(tmp_path_factory.mktemp("postgresql") / "data")
    yield server.get_uri()
    server.cleanup()


def run_script(superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(SCRIPT)  # type: ignore[arg-type]


def url_of(role: str, superuser: str) -> str:
    return superuser.replace("//postgres:@", f"//{role}@")


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory, superuser: str) -> OnPostgreSQL:
    """The installation as the owner of the tables, migrated."""
    run_script(superuser)
    directory = tmp_path_factory.mktemp("roles")
    found = OnPostgreSQL(directory, free_port(), [ORIGIN], database_url=url_of("codec_owner", superuser))
    found.manage("migrate", "--verbosity=0")
    run_script(superuser)
    return found


@pytest.fixture(scope="module")
def server(superuser: str, owner: OnPostgreSQL) -> Iterator[OnPostgreSQL]:
    """The same installation as the server's role, set up and serving."""
    found = replace(owner, database_url=url_of("codec_app", superuser))
    found.manage("bootstrap")
    with serving(found):
        yield found


@pytest.fixture(scope="module")
def alice(server: Installation) -> CodecClient:
    return CodecClient(server.url, cookie_of_alice(server))


@pytest.fixture
def connection(server: OnPostgreSQL) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        yield connection


def test_server_signs_in_encodes_decodes_and_rotates(server, alice):
    before = alice.encode()
    server.manage("rotate_key", "default", "--reason", "test")
    after = alice.encode()
    assert before["metadata"] != after["metadata"]
    assert alice.decodes(before)
    assert alice.decodes(after)


def test_revocation_works(server, alice):
    payload = alice.encode()
    server.manage("revoke", "alice", "default", "--reason", "test")
    assert alice.call("decode", payload)[0] == 403
    server.manage("grant", "alice", "default", "--decode", "--encode", "--reason", "test")
    assert alice.decodes(payload)


def test_auditing_works(server, alice, tmp_path):
    payload = alice.encode()
    assert alice.decodes(payload)
    assert "alice (user)" in server.manage("who_saw", stdin=json.dumps(payload))
    assert server.manage("rebuild_fingerprint_index").startswith("Read ")
    server.manage("rebuild_viewings")
    server.manage("checkpoint_audit")
    server.manage("export_audit", "--from=2020-01-01", "--to=2100-01-01", f"--output={tmp_path / 'export'}")
    assert server.manage("verify_audit") == "OK\n"


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_it_is_denied(connection, alice, statement):
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


def test_only_the_owner_migrates(server):
    with pytest.raises(StartError, match=r"permission denied|must be owner"):
        server.manage("migrate", "keys", "0001")


def write_old_records(server: OnPostgreSQL) -> None:
    command = [sys.executable, "-m", "tests.old_audit", "write", "100"]
    subprocess.run(command, cwd=ROOT, env=server.environment(), check=True, capture_output=True)


def test_only_the_owner_retires_while_the_server_serves(server, owner, alice, tmp_path):
    write_old_records(server)
    with pytest.raises(StartError, match="Only the role that owns"):
        server.manage("retire_audit", f"--output={tmp_path / 'no'}")
    assert not (tmp_path / "no").exists()
    payload = alice.encode()
    with ThreadPoolExecutor(1) as pool:
        retirement = pool.submit(owner.manage, "retire_audit", f"--output={tmp_path / 'yes'}")
        while not retirement.done():
            assert alice.decodes(payload)
    assert retirement.result().startswith("Wrote 100 records of 2 chains")
    assert alice.decodes(payload)
    assert server.manage("verify_audit") == "OK\n"


def test_deployment_check_tells_the_roles_apart(server, owner):
    script = "from keys.checks import audit_is_append_only as check; print([found.id for found in check(None)])"
    assert owner.manage("shell", "-v0", "-c", script) == "['keys.W001']\n"
    assert server.manage("shell", "-v0", "-c", script) == "[]\n"


def test_every_table_belongs_to_the_owner_and_is_readable_by_the_server(connection):
    owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert owners == [("codec_owner",)]
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (name,) in tables:
        connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name)))


def test_table_of_a_later_migration_is_closed_until_the_script_runs_again(superuser, owner, connection):
    with psycopg.connect(owner.database_url, autocommit=True) as of_owner:
        of_owner.execute("CREATE TABLE of_tomorrow (id int)")
    with pytest.raises(InsufficientPrivilege):
        connection.execute("SELECT * FROM of_tomorrow")
    run_script(superuser)
    assert connection.execute("SELECT * FROM of_tomorrow").fetchall() == []
    with psycopg.connect(owner.database_url, autocommit=True) as of_owner:
        of_owner.execute("DROP TABLE of_tomorrow")


def test_script_before_the_first_migrate_says_what_to_do(superuser):
    notices: list[str] = []
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    with psycopg.connect(superuser.replace("/postgres?", "/empty?"), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        connection.execute(SCRIPT)  # type: ignore[arg-type]
    assert notices == ["There are no tables yet. Migrate as codec_owner, then run this again."]
