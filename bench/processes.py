"""How many requests of body a do one and two processes on one PostgreSQL answer a second?

python -m bench.processes [--runs 3] [--seconds 5] [--connections 64] [--output FILE]
"""

import argparse
import secrets
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import bodies
from bench.load import Sample, measure
from bench.servers import KEY_ID, Server, check, ours, write


def together(servers: list[Server], body: bodies.Body, connections: int, seconds: int) -> list[Sample]:
    """Load all servers at once, each with its part of the connections."""

    def load(server: Server) -> Sample:
        part = connections // len(servers)
        url = f"{server.url}/decode"
        return measure(server.pid, url, body.encoded, server.headers, connections=part, seconds=seconds)

    with ThreadPoolExecutor(len(servers)) as pool:
        return list(pool.map(load, servers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    key = secrets.token_bytes(32)
    body, rows = bodies.make("a", KEY_ID, key), []
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder), key, on_postgresql=True, processes=2) as servers:
        for server in servers:
            check(server, "decode", body.encoded, body.decoded)
        together(servers, body, options.connections, 1)
        for number in (1, 2):
            runs = [together(servers[:number], body, options.connections, options.seconds) for _ in range(options.runs)]
            rows.append(_row(number, runs))
    write(options.output, options, rows)


def _row(processes: int, runs: list[list[Sample]]) -> dict[str, float]:
    rate = statistics.median(sum(sample.per_second for sample in run) for run in runs)
    cpu = statistics.median(sample.cpu for run in runs for sample in run)
    p99 = statistics.median(max(sample.p99 for sample in run) for run in runs)
    print(f"a {processes} process(es)  {rate:7.0f}/s  cpu {cpu:6.0f} us each  p99 {p99:7.2f} ms", flush=True)
    return {"processes": processes, "per second": rate, "cpu of one server process": cpu, "p99": p99}


if __name__ == "__main__":
    main()
