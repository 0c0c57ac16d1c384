"""How long do a start and a sign-in take?

python -m bench.start [--runs 5] [--output FILE]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.load import resident_mib
from bench.servers import write
from demo.codec_server import ROOT, Installation, set_up
from demo.processes import free_port, running
from tests.e2e.people import sign_in
from tests.e2e.shared_database import ORIGIN, make_person


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    starts, sign_ins, memory = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(Path(folder, "codec"), free_port(), [ORIGIN])
        set_up(installation)
        person = make_person(installation, "alice")
        for _ in range(options.runs):
            begin = time.perf_counter()
            with running(
                [sys.executable, str(ROOT / "manage.py"), "serve"],
                log=Path(folder, "server.log"),
                ready_url=f"{installation.url}/healthz",
                env=installation.environment(),
            ) as process:
                starts.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                sign_in(installation.url, person)
                sign_ins.append(time.perf_counter() - begin)
                memory.append(resident_mib(process.pid))
    rows = [_row("start, s", starts), _row("sign in, s", sign_ins), _row("memory after it, MiB", memory)]
    write(options.output, options, rows)


def _row(name: str, values: list[float]) -> dict[str, object]:
    print(f"{name:22} {statistics.median(values):8.2f} ({min(values):.2f}-{max(values):.2f})", flush=True)
    return {"what": name, "median": statistics.median(values), "spread": [min(values), max(values)]}


if __name__ == "__main__":
    main()
