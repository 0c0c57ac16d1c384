"""The servers that are measured: the baseline, and this one with everything on."""

import argparse
import base64
import json
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.codec_server import ROOT, Installation, set_up
from demo.processes import free_port, running
from tests import postgresql
from tests.e2e.shared_database import ORIGIN, OnPostgreSQL, cookie_of_alice

KEY_ID = "bench"
JSON = {"Content-Type": "application/json"}
_SET_CHAIN = "from keys.models import Namespace\nNamespace.objects.update(codec_chain={!r})"


@dataclass(frozen=True, slots=True)
class Server:
    """`started` is how many seconds passed until it answered. `manage` runs a command of its installation."""

    name: str
    pid: int
    url: str
    headers: dict[str, str]
    started: float
    manage: Callable[..., str] | None = None


@contextmanager
def baseline(folder: Path, key: bytes) -> Iterator[Server]:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "bench.baseline", url.rpartition(":")[2], KEY_ID, key.hex()]
    start = time.perf_counter()
    with running(command, log=folder / "baseline.log", ready_url=f"{url}/healthz") as process:
        yield Server("baseline", process.pid, url, JSON, time.perf_counter() - start)


@contextmanager
def ours(
    folder: Path,
    key: bytes,
    *,
    on_postgresql: bool = False,
    credential: str = "cookie",
    processes: int = 1,
    chain: str = "aes-gcm",
    **more: str,
) -> Iterator[list[Server]]:
    """Serve with so many processes; `chain` is what /encode does, and `more` are environment variables."""
    with ExitStack() as stack:
        first = _installation(stack, folder, on_postgresql=on_postgresql)
        set_up(first)
        first.manage("import_key", "default", KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
        first.manage("shell", "--verbosity=0", stdin=_SET_CHAIN.format(chain))
        headers = JSON | {"X-Namespace": "default"} | _credential(first, credential, more)
        ports = [first.port, *(free_port() for _ in range(processes - 1))]
        yield [stack.enter_context(_serving(first, port, headers, more)) for port in ports]


def _installation(stack: ExitStack, folder: Path, *, on_postgresql: bool) -> Installation:
    if not on_postgresql:
        return Installation(folder / "codec", free_port(), [ORIGIN])
    database = postgresql.start(folder / "postgresql")
    stack.callback(database.cleanup)
    return OnPostgreSQL(folder / "codec", free_port(), [ORIGIN], database_url=database.get_uri())


@contextmanager
def _serving(installation: Installation, port: int, headers: dict[str, str], more: dict[str, str]) -> Iterator[Server]:
    url = f"http://127.0.0.1:{port}"
    environment = {**installation.environment(), "PORT": str(port), "CODEC_REQUESTS_PER_MINUTE": "100000000", **more}
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    log, start = installation.directory / f"server-{port}.log", time.perf_counter()
    with running(command, log=log, ready_url=f"{url}/healthz", env=environment) as process:
        yield Server("codec server", process.pid, url, headers, time.perf_counter() - start, installation.manage)


def _credential(installation: Installation, kind: str, more: dict[str, str]) -> dict[str, str]:
    with _serving(installation, installation.port, {}, more):
        cookie = cookie_of_alice(installation)
    if kind == "cookie":
        return {"Origin": ORIGIN, "Cookie": cookie}
    made = installation.manage("create_token", "alice", "--name", "bench", "--decode", "--encode", "--json")
    return {"Authorization": f"Bearer {json.loads(made)['token']}"}


def check(server: Server, verb: str, sent: bytes, expected: dict[str, Any] | None) -> None:
    """Ask once and compare the answer with the plaintext."""
    request = urllib.request.Request(f"{server.url}/{verb}", sent, server.headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        payloads = json.load(answer)
    if expected is not None and payloads != expected:
        raise RuntimeError(f"{server.name} answers {verb} wrongly")


def write(output: Path | None, options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Write what was measured, with when and on what."""
    if output is None:
        return
    asked = {name: value for name, value in vars(options).items() if name != "output"}
    packages = ("django", "uvicorn", "uvloop", "httptools", "cryptography", "orjson", "protobuf", "aiohttp")
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "asked": asked,
    }
    output.write_text(json.dumps(facts | {"rows": rows}, indent=1) + "\n")
