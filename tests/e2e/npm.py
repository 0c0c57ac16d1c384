"""What the tests take from npm: each folder with a lock file is installed as it says, when it is first needed."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def install(folder: Path, *, reason: str) -> None:
    """Install what the lock file of `folder` names, unless it is there already; skip, for `reason`, without npm.

    Of several processes that test, one does it.
    """
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime:
            return
        if shutil.which("npm") is None:
            do_without(reason)
        command = ["npm", "ci", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.fail(f"npm ci failed in {folder}:\n{done.stderr[-2000:]}")


def do_without(reason: str) -> NoReturn:
    """Skip, for `reason`; inside CI nothing of this may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
