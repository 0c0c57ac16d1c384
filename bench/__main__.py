"""Measure this server beside the baseline, in turn, and print medians, spread and ratios.

python -m bench [--bodies abcd] [--connections 8,64] [--runs 4] [--seconds 3] [--verbs decode] [--postgresql]
                [--credential cookie|token] [--chain aes-gcm] [--output FILE]
"""

import argparse
import secrets
import statistics
import tempfile
from pathlib import Path

from bench import bodies
from bench.load import Sample, measure
from bench.servers import KEY_ID, Server, baseline, check, ours, write


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
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--credential", choices=["cookie", "token"], default="cookie")
    parser.add_argument("--chain", default="aes-gcm", help="what /encode does; the baseline never compresses")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    key = secrets.token_bytes(32)
    with (
        tempfile.TemporaryDirectory() as folder,
        baseline(Path(folder), key) as base,
        ours(
            Path(folder), key, on_postgresql=options.postgresql, credential=options.credential, chain=options.chain
        ) as [codec],
    ):
        rows = run([base, codec], key, options)
    write(options.output, options, rows)


if __name__ == "__main__":
    main()
