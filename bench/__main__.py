"""Measure this server beside the baseline, in turn, and print medians, spread and ratios.

python -m bench [--bodies abcd] [--connections 8,64] [--runs 5] [--seconds 4] [--verbs decode] [--postgresql]
                [--credential cookie|token] [--output FILE]
"""

import argparse
import base64
import json
import secrets
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import bodies
from bench.load import Sample, measure
from demo.codec_server import ROOT, set_up
from demo.processes import free_port, running
from tests import postgresql
from tests.e2e.shared_database import ORIGIN, Installation, OnPostgreSQL, cookie_of_alice

KEY_ID = "bench"


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    pid: int
    url: str
    headers: dict[str, str]


@contextmanager
def baseline(folder: Path, key: bytes) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "bench.baseline", str(port), KEY_ID, key.hex()]
    with running(command, log=folder / "baseline.log", ready_url=f"http://127.0.0.1:{port}/healthz") as process:
        yield Server("baseline", process.pid, f"http://127.0.0.1:{port}", {"Content-Type": "application/json"})


@contextmanager
def ours(folder: Path, key: bytes, options: argparse.Namespace) -> Iterator[Server]:
    with _installation(folder, options) as installation:
        set_up(installation)
        installation.manage("import_key", "default", KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
        command = [sys.executable, str(ROOT / "manage.py"), "serve"]
        environment = {**installation.environment(), "CODEC_REQUESTS_PER_MINUTE": "100000000"}
        log = folder / "codec.log"
        with running(command, log=log, ready_url=f"{installation.url}/healthz", env=environment) as process:
            headers = {"Content-Type": "application/json", "X-Namespace": "default"}
            headers |= _credential(installation, options.credential)
            yield Server("codec server", process.pid, f"http://127.0.0.1:{installation.port}", headers)


@contextmanager
def _installation(folder: Path, options: argparse.Namespace) -> Iterator[Installation]:
    if not options.postgresql:
        yield Installation(folder / "codec", free_port(), [ORIGIN])
        return
    server = postgresql.start(folder / "postgresql")
    try:
        yield OnPostgreSQL(folder / "codec", free_port(), [ORIGIN], database_url=server.get_uri())
    finally:
        server.cleanup()


def _credential(installation: Installation, kind: str) -> dict[str, str]:
    cookie = cookie_of_alice(installation)
    if kind == "cookie":
        return {"Origin": ORIGIN, "Cookie": cookie}
    made = installation.manage("create_token", "alice", "bench", "--decode", "--encode", "--json")
    return {"Authorization": f"Bearer {json.loads(made)['token']}"}


def check(server: Server, verb: str, sent: bytes, expected: dict | None) -> None:
    """Ask once and compare the answer with the plaintext."""
    request = urllib.request.Request(f"{server.url}/{verb}", sent, server.headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        payloads = json.load(answer)
    if expected is not None and payloads != expected:
        raise RuntimeError(f"{server.name} answers {verb} wrongly")


def run(servers: list[Server], key: bytes, options: argparse.Namespace) -> list[dict]:
    rows = []
    for verb in options.verbs.split(","):
        for name in options.bodies:
            body = bodies.make(name, KEY_ID, key)
            sent, expected = (body.encoded, body.decoded) if verb == "decode" else (body.plain, None)
            for server in servers:
                check(server, verb, sent, expected)
            for connections in map(int, options.connections.split(",")):
                samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
                for turn in range(options.runs + 1):
                    for server in servers:
                        sample = measure(
                            server.pid,
                            f"{server.url}/{verb}",
                            sent,
                            server.headers,
                            connections=connections,
                            seconds=options.seconds if turn else 1,
                        )
                        if turn:  # the first is the warm-up
                            samples[server.name].append(sample)
                rows.append(report(verb, name, connections, samples))
    return rows


def report(verb: str, body: str, connections: int, samples: dict[str, list[Sample]]) -> dict:
    base = statistics.median(sample.cpu for sample in samples["baseline"])
    row: dict = {"verb": verb, "body": body, "connections": connections}
    for name, taken in samples.items():
        cpu = [sample.cpu for sample in taken]
        row[name] = {
            "cpu": statistics.median(cpu),
            "cpu spread": [min(cpu), max(cpu)],
            "ratio": statistics.median(cpu) / base,
            "per second": statistics.median(sample.per_second for sample in taken),
            "p50": statistics.median(sample.p50 for sample in taken),
            "p99": statistics.median(sample.p99 for sample in taken),
            "memory": max(sample.memory for sample in taken),
        }
        figures = row[name]
        print(
            f"{verb} {body} {connections:3} {name:13} cpu {figures['cpu']:8.0f} us "
            f"({min(cpu):.0f}-{max(cpu):.0f})  ratio {figures['ratio']:.2f}  {figures['per second']:7.0f}/s  "
            f"p50 {figures['p50']:7.2f}  p99 {figures['p99']:7.2f} ms  {figures['memory']:4.0f} MiB",
            flush=True,
        )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", default="abcd")
    parser.add_argument("--connections", default="8,64")
    parser.add_argument("--verbs", default="decode")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--credential", choices=["cookie", "token"], default="cookie")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    key = secrets.token_bytes(32)
    with (
        tempfile.TemporaryDirectory() as folder,
        baseline(Path(folder), key) as base,
        ours(Path(folder), key, options) as codec,
    ):
        rows = run([base, codec], key, options)
    if options.output:
        facts = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "python": sys.version, "rows": rows}
        options.output.write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
