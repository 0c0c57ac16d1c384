"""Start a program, wait until it answers, and be sure that it is gone afterwards."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_PATIENCE = 10.0


class StartError(Exception):
    """A program ended, or did not answer in time. The message ends with the last lines of its log."""


def free_port() -> int:
    """Return a port of the loopback address on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running(
    command: Sequence[str], *, log: Path, ready_url: str, env: Mapping[str, str] | None = None, patience: float = 30.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends, its output going to `log`. Enters the block when `ready_url` answers 200."""
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches only this program, which then stops the others in order.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env, start_new_session=True
        )
    try:
        _wait_until_ready(process, ready_url, log, patience)
        yield process
    finally:
        _stop(process)


def answers(url: str) -> bool:
    """Tell whether a GET of `url` gives 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return False
    except OSError:
        return False


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not answers(url):
        if process.poll() is not None:
            raise StartError(f"{process.args!r} ended with {process.returncode}\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{url} did not answer within {patience:.0f} s\n{_tail(log)}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: what the program itself has started ends with it."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
