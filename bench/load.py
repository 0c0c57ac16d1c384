"""One measurement: wrk against a server, and the processor time that the server's process tree used meanwhile."""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_LUA = """
wrk.method = "POST"
wrk.body = io.open("%s", "rb"):read("*a")
%s
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU is in microseconds per request, latency in milliseconds, memory in MiB (resident, after the run)."""

    requests: int
    per_second: float
    cpu: float
    p50: float
    p99: float
    memory: float


def measure(pid: int, url: str, body: bytes, headers: dict[str, str], *, connections: int, seconds: int) -> Sample:
    """Raises RuntimeError when any answer was not a success."""
    with tempfile.TemporaryDirectory() as folder:
        body_file, script = Path(folder, "body"), Path(folder, "post.lua")
        body_file.write_bytes(body)
        lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
        script.write_text(_LUA % (body_file, lines))
        before = cpu_seconds(pid)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), url]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used = cpu_seconds(pid) - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    if found is None:
        raise RuntimeError(output)
    requests, duration, p50, p99, refused, broken = map(int, found.groups())
    if refused or broken or not requests:
        raise RuntimeError(f"{refused} refused and {broken} broken of {requests} requests to {url}")
    return Sample(requests, requests / duration * 1e6, used / requests * 1e6, p50 / 1e3, p99 / 1e3, resident_mib(pid))


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, its threads and its living and reaped children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS
    return own + sum(cpu_seconds(child) for child in _children(pid))


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident_mib(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
