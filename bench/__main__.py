"""Measure this server beside the baseline, in turn, and print medians, spread and ratios.

python -m bench [--bodies abcd] [--connections 8,64] [--runs 3] [--seconds 3] [--verbs decode] [--postgresql]
                [--credential cookie|token] [--chain aes-gcm] [--output FILE]
"""

import argparse
import secrets
import statistics
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from bench import bodies
from bench.load import Sample, measure
from bench.servers import KEY_ID, Server, baseline, check, ours, write


def run(key: bytes, options: argparse.Namespace) -> Iterator[dict]:
    """Yield a row for each verb, body and number of connections, each of servers that have just started.

    So no row pays for what the one before it has left to be done later (bench/later.py).
    """
    for verb, name, connections in product(
        options.verbs.split(","), options.bodies, map(int, options.connections.split(","))
    ):
        with (
            tempfile.TemporaryDirectory() as folder,
            baseline(Path(folder), key) as base,
            ours(
                Path(folder), key, on_postgresql=options.postgresql, credential=options.credential, chain=options.chain
            ) as [codec],
        ):
            yield row([base, codec], verb, bodies.make(name, KEY_ID, key), name, connections, options)


def row(
    servers: list[Server], verb: str, body: bodies.Body, name: str, connections: int, options: argparse.Namespace
) -> dict:
    sent, expected = (body.encoded, body.decoded) if verb == "decode" else (body.plain, None)
    for server in servers:
        check(server, verb, sent, expected)
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    for turn in range(options.runs + 1):
        for server in servers:
            seconds = options.seconds if turn else 1
            url = f"{server.url}/{verb}"
            sample = measure(server.pid, url, sent, server.headers, connections=connections, seconds=seconds)
            if turn:  # the first is the warm-up
                samples[server.name].append(sample)
    return report(verb, name, connections, samples)


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
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--credential", choices=["cookie", "token"], default="cookie")
    parser.add_argument("--chain", default="aes-gcm", help="what /encode does; the baseline never compresses")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    write(options.output, options, list(run(secrets.token_bytes(32), options)))


if __name__ == "__main__":
    main()
