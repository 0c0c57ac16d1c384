"""Do large bodies stall small ones? Measure body a at 8 connections, alone and beside body d at 2 connections.

python -m bench.stall [--runs 5] [--seconds 6] [--output FILE]
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


def small(server: Server, body: bodies.Body, seconds: int) -> Sample:
    return measure(server.pid, f"{server.url}/decode", body.encoded, server.headers, connections=8, seconds=seconds)


def beside_large(server: Server, body: bodies.Body, large: bodies.Body, seconds: int) -> Sample:
    with ThreadPoolExecutor(1) as pool:
        background = pool.submit(
            measure,
            server.pid,
            f"{server.url}/decode",
            large.encoded,
            server.headers,
            connections=2,
            seconds=seconds + 2,
        )
        sample = small(server, body, seconds)
        background.result()
    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    key = secrets.token_bytes(32)
    body, large = (bodies.make(name, KEY_ID, key) for name in "ad")
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder), key) as [server]:
        check(server, "decode", body.encoded, body.decoded)
        check(server, "decode", large.encoded, large.decoded)
        small(server, body, 1)
        samples: dict[str, list[Sample]] = {"alone": [], "beside d": []}
        for _ in range(options.runs):
            samples["alone"].append(small(server, body, options.seconds))
            samples["beside d"].append(beside_large(server, body, large, options.seconds))
    rows = [_row(name, taken) for name, taken in samples.items()]
    write(options.output, options, rows)


def _row(name: str, taken: list[Sample]) -> dict[str, object]:
    p50, p99 = (statistics.median(getattr(sample, figure) for sample in taken) for figure in ("p50", "p99"))
    worst = max(sample.p99 for sample in taken)
    print(f"a {name:9} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms (worst run {worst:.2f})", flush=True)
    return {"a": name, "p50": p50, "p99": p99, "worst p99": worst}


if __name__ == "__main__":
    main()
