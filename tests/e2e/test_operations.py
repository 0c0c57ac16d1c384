"""The procedures for keys in docs/operations.md, each block of shell run as it stands there, on a real installation.

Every block below `## Keys` is run by some test; the last test sees to that.
"""

import base64
import json
import re
import secrets
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.codec_server import ROOT, Installation, serving, set_up
from demo.processes import StartError, free_port
from tests.e2e.people import Person, sign_in
from tests.e2e.shared_database import ORIGIN, CodecClient

GUIDE = (ROOT / "docs" / "operations.md").read_text()
BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

ROTATE = "Rotate"
TWO_STEPS = "Rotate in two steps, where Workers hold the keys"
LEAKED = "A key has leaked"
OTHER_KEK = "Moving to another KEK"
LOST_KEK = "A KEK is lost"
RESTORE = "Restoring a backup, without bringing destroyed keys back"
BACKUP = "Backup"


def blocks(heading: str) -> list[str]:
    """Return the blocks of shell between this heading and the next."""
    _, _, rest = GUIDE.partition(f"# {heading}\n")
    assert rest, f"the guide has no heading {heading!r}"
    section = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return [textwrap.dedent(indent + body) if indent else body for indent, body in BLOCK.findall(section)]


class ClientOfPayments(CodecClient):
    """alice's client, in the Namespace of the guide."""

    def headers(self, namespace: str = "payments") -> dict[str, str]:
        return super().headers("payments")


@dataclass(frozen=True)
class Operator:
    """Somebody who follows the guide: a shell in a directory that looks like the project's."""

    server: Installation
    desk: Path
    variables: dict[str, str]

    def run(self, heading: str, number: int, **variables: str) -> str:
        """Run one block of the guide, counted from 1; return what it printed. It must end well."""
        done = self.try_to(heading, number, **variables)
        assert done.returncode == 0, f"{heading}, block {number}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_to(self, heading: str, number: int, **variables: str) -> subprocess.CompletedProcess[str]:
        ran.add((heading, number))
        self.variables.update(variables)
        # The environment that the block ends with is where the next one begins, as in a shell.
        script = f'{blocks(heading)[number - 1]}\nif [ -n "${{CODEC_KEK-}}" ]; then echo "$CODEC_KEK" > .codec_kek; fi'
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.desk,
            env={**self.server.environment(), **self.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        kek = self.desk / ".codec_kek"
        if kek.exists():
            self.variables["CODEC_KEK"] = kek.read_text().strip()
        return done

    def keys(self) -> dict[str, dict]:
        """Return the key versions of `payments` by their ids."""
        return {one["key_id"]: one for one in json.loads(self.server.manage("list_keys", "payments", "--json"))}

    def primary(self) -> str:
        return next(key_id for key_id, one in self.keys().items() if one["primary"])

    def states(self) -> dict[str, str]:
        return {key_id: one["state"] for key_id, one in self.keys().items()}

    def client(self) -> ClientOfPayments:
        return ClientOfPayments(self.server.url, sign_in(self.server.url, ALICE))


ran: set[tuple[str, int]] = set()


ALICE = Person("alice", secrets.token_urlsafe(15))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new installation's directory, to be copied."""
    directory = tmp_path_factory.mktemp("empty") / "var"
    set_up(Installation(directory, free_port(), [ORIGIN]))
    return directory


@pytest.fixture(scope="module")
def peopled(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with the Namespace `payments`, which alice may read, to be copied."""
    directory = shutil.copytree(empty, tmp_path_factory.mktemp("peopled") / "var")
    server = Installation(directory, free_port(), [ORIGIN])
    script = f"from codec.models import User; User.objects.create_user('alice', password={ALICE.password!r})"
    server.manage("create_namespace", "payments")
    server.manage("shell", "--verbosity=0", stdin=script)
    server.manage("grant", "alice", "payments", "--decode", "--encode", "--reason", "test")
    return directory


def operator_at(installed: Path, directory: Path) -> Operator:
    """Copy an installation, and furnish a desk to work at."""
    server = Installation(shutil.copytree(installed, directory / "var"), free_port(), [ORIGIN])
    desk = directory / "desk"
    (desk / ".venv" / "bin").mkdir(parents=True)
    python = desk / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (desk / "manage.py").symlink_to(ROOT / "manage.py")
    (desk / "deploy").symlink_to(ROOT / "deploy")
    (directory / "backup").mkdir()
    return Operator(server, desk, {"BACKUP": str(directory / "backup")})


@pytest.fixture
def operator(peopled: Path, tmp_path: Path) -> Operator:
    """Somebody at an installation with the Namespace `payments`, which alice may read."""
    return operator_at(peopled, tmp_path)


@pytest.fixture
def key_file(tmp_path: Path) -> Iterator[Path]:
    """A key that Workers hold, in base64."""
    file = tmp_path / "key.base64"
    file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    yield file
    file.unlink()


def test_rotate(operator: Operator):
    first = operator.primary()
    printed = operator.run(ROTATE, 1)
    assert operator.primary() != first
    assert operator.states()[first] == "ENABLED"
    assert first in printed
    assert "Destroyed 0" in operator.run(ROTATE, 2)


def test_two_steps(operator: Operator, tmp_path: Path):
    former = operator.primary()
    key_file = tmp_path / "new-key"
    operator.run(TWO_STEPS, 1, KEY_FILE=str(key_file), NEW="workers-2027")
    assert key_file.stat().st_mode & 0o77 == 0
    assert operator.primary() == former
    assert operator.states()["workers-2027"] == "ENABLED"
    operator.run(TWO_STEPS, 2)
    assert operator.primary() == "workers-2027"
    key_file.unlink()
    assert "payments can now decode with key" in operator.run(TWO_STEPS, 3)
    assert operator.primary() == "workers-2027"


def test_a_leaked_key(operator: Operator, tmp_path: Path):
    leaked = operator.primary()
    with serving(operator.server):
        client = operator.client()
        payload = client.encode()
        assert client.decodes(payload)
        operator.run(LEAKED, 1)
        history = tmp_path / "history.json"
        history.write_text(json.dumps(payload))
        printed = operator.run(LEAKED, 2, SINCE="2020-01-01", HISTORY_FILE=str(history))
        assert "alice (user) was shown 1 of 1" in printed
        assert "payload:decoded" in (tmp_path / "backup" / "incident" / "audit.jsonl").read_text()
        assert client.decodes(payload)  # rotating alone takes nothing away
        operator.run(LEAKED, 3, OLD=leaked)
        assert client.call("decode", payload)[0] == 400
        operator.run(LEAKED, 4)
        assert operator.states()[leaked] == "DESTROY_SCHEDULED"


def test_another_kek(operator: Operator, tmp_path: Path):
    with serving(operator.server):
        payload = operator.client().encode()
    operator.run(OTHER_KEK, 1, NEW_KEK_FILE=str(tmp_path / "new-kek"))
    assert "Moved 2 key(s)" in operator.run(OTHER_KEK, 2)  # of `default`, too
    operator.run(OTHER_KEK, 3)
    (operator.server.directory / "kek").unlink()
    (tmp_path / "new-kek").rename(operator.server.directory / "kek")  # where serving() looks
    with serving(operator.server):
        assert operator.client().decodes(payload)


def test_a_lost_kek_of_which_there_is_a_copy(operator: Operator, tmp_path: Path):
    kek = operator.server.directory / "kek"
    shutil.move(kek, tmp_path / "backup" / "kek")
    refused = operator.try_to(LOST_KEK, 1)
    assert refused.returncode != 0
    assert "keys.E001" in refused.stderr
    operator.run(LOST_KEK, 2)
    assert kek.stat().st_mode & 0o77 == 0


def test_a_lost_kek_whose_keys_workers_hold(operator: Operator, empty: Path, tmp_path: Path, key_file: Path):
    operator.server.manage("import_key", "payments", "workers", "--primary", stdin=key_file.read_text())
    anew = operator_at(empty, tmp_path / "anew")
    anew.run(LOST_KEK, 3, OLD="workers", KEY_FILE=str(key_file))
    assert anew.primary() == "workers"


def test_a_lost_kek_whose_keys_nobody_has(operator: Operator):
    lost = operator.primary()
    (operator.server.directory / "kek").unlink()
    operator.run(LOST_KEK, 4, OLD=lost)
    assert operator.states()[lost] == "DESTROY_SCHEDULED"
    with serving(operator.server):
        client = operator.client()
        assert client.decodes(client.encode())


def test_the_id_of_a_lost_key_is_never_used_again(operator: Operator, key_file: Path):
    with pytest.raises(StartError, match="has, or had, a key"):
        operator.server.manage("import_key", "payments", operator.primary(), stdin=key_file.read_text())


def test_a_restored_backup(operator: Operator, tmp_path: Path, key_file: Path):
    """After the backup: one key is disabled, one destroyed, one imported and destroyed, one imported."""
    server = operator.server
    disabled, destroyed = operator.primary(), "destroyed"
    server.manage("import_key", "payments", destroyed, "--primary", stdin=key_file.read_text())
    with serving(server):
        client = operator.client()
        payload = client.encode()
        server.manage("rotate_key", "payments", "--reason", "test")
        primary = operator.primary()
        operator.run(BACKUP, 1, SINCE="2020-01-01")
        shutil.copy(server.directory / "kek", tmp_path / "backup" / "kek")

        server.manage("disable_key", "payments", disabled, "--reason", "test")
        for key_id in ("brief", "young"):
            key = base64.b64encode(secrets.token_bytes(32)).decode()
            server.manage("import_key", "payments", key_id, stdin=key)
        destroy(server, destroyed, "brief")
        server.manage("revoke", "alice", "payments", "--reason", "left")
        assert client.call("decode", payload)[0] == 403
        server.manage("checkpoint_audit")
        operator.run(RESTORE, 1)

    operator.run(RESTORE, 2)
    assert operator.states() == {disabled: "ENABLED", destroyed: "ENABLED", primary: "ENABLED"}  # what a restore does
    printed = operator.run(RESTORE, 3)
    assert operator.states() == {
        disabled: "DISABLED",
        destroyed: "DESTROYED",
        primary: "ENABLED",
        "brief": "DESTROYED",
    }
    assert "To do: payments young was made after the backup" in printed
    assert printed.rstrip().endswith("3 changed, 1 to do.")
    assert operator.run(RESTORE, 3).rstrip().endswith("0 changed, 1 to do.")
    operator.run(RESTORE, 4)
    told = operator.run(RESTORE, 5)
    assert '"action":"grant:revoked"' in told
    server.manage("revoke", "alice", "payments", "--reason", "as the audit says")
    assert "\nOK\n" in operator.run(RESTORE, 6)
    with serving(server):
        assert client.call("decode", payload)[0] == 401  # the session from before the restore
        assert operator.client().call("decode", payload)[0] == 403
        server.manage("grant", "alice", "payments", "--decode", "--encode", "--reason", "test")
        again = operator.client()
        assert again.call("decode", payload)[0] == 400  # it is destroyed, in the restored database as well
        assert again.decodes(again.encode())
    assert server.manage("verify_audit").strip() == "OK"


def destroy(server: Installation, *key_ids: str) -> None:
    """Have these key versions erased, as if their days had passed."""
    for key_id in key_ids:
        server.manage("schedule_destruction", "payments", key_id, "--override", "--reason", "test")
    script = (
        "from django.utils import timezone; from keys.models import KeyVersion; "
        "KeyVersion.objects.filter(state='DESTROY_SCHEDULED').update(destroy_at=timezone.now())"
    )
    server.manage("shell", "--verbosity=0", stdin=script)
    assert f"Destroyed {len(key_ids)}" in server.manage("destroy_due_keys")


def test_an_altered_export_is_not_applied(operator: Operator, tmp_path: Path):
    operator.run(RESTORE, 1)
    (export,) = (tmp_path / "backup").glob("audit-*/audit.jsonl")
    export.write_text(export.read_text().replace("payments", "payroll"))
    refused = operator.try_to(RESTORE, 3)
    assert refused.returncode != 0
    assert "WRONG" in refused.stdout + refused.stderr


def test_every_block_about_keys_was_run(request: pytest.FixtureRequest):
    """Only when the whole file has run: a part of it cannot know."""
    mine = [item for item in request.session.items if item.path == Path(__file__)]
    if len(mine) < len([name for name in globals() if name.startswith("test_")]):
        pytest.skip("not the whole file")
    headings = re.findall(r"^### (.+)$", GUIDE[GUIDE.index("## Keys\n") :], re.MULTILINE)
    there = {(heading, number) for heading in headings for number in range(1, len(blocks(heading)) + 1)}
    assert there - ran == set()
