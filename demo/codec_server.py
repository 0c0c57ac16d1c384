"""This project's server as one process, with a directory of its own that holds database, KEK and secrets."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.processes import StartError, running

ROOT = Path(__file__).resolve().parent.parent
# What configures this server; inherited values would reach another database or other keys.
OWN_VARIABLES = re.compile(r"(CODEC|DJANGO)_\w+|DATABASE_URL(_FILE)?|ALLOWED_HOSTS|PORT")


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation in a directory, served or not: runs the management commands of `manage.py` there."""

    directory: Path
    port: int
    ui_origins: Sequence[str]
    url: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", f"http://localhost:{self.port}")

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run `manage.py` with these arguments and return what it printed. Raises StartError if it fails."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environment(), check=False, timeout=60
        )
        if done.returncode:
            raise StartError(f"manage.py {arguments[0]} ended with {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def environment(self) -> Mapping[str, str]:
        """Return the environment of its processes: the caller's, with this installation's settings and no others."""
        inherited = {name: value for name, value in os.environ.items() if not OWN_VARIABLES.fullmatch(name)}
        return inherited | {
            "CODEC_VAR": str(self.directory),
            "PORT": str(self.port),
            "CODEC_UI_ORIGINS": ",".join(self.ui_origins),
        }


def set_up(installation: Installation) -> str:
    """Make a new installation and return the password of its administrator, `admin`."""
    installation.directory.mkdir(parents=True, exist_ok=True)
    installation.manage("migrate", "--verbosity=0")
    shown = re.search(r"^admin password: (\S+)$", installation.manage("bootstrap"), re.MULTILINE)
    if shown is None:
        raise StartError(f"{installation.directory} is an installation already: its password was shown before")
    return shown[1]


@contextmanager
def serving(installation: Installation) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve the installation at its `url` until the block ends. Gives the process that serves."""
    with running(
        [sys.executable, str(ROOT / "manage.py"), "serve"],
        log=installation.directory / "codec_server.log",
        ready_url=f"{installation.url}/healthz",
        env=installation.environment(),
    ) as process:
        yield process
