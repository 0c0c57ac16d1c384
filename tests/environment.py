"""Loaded by pytest before Django's settings: gives the run its own CODEC_VAR, temporary folder and database.

TEST_DATABASE=postgresql runs on a PostgreSQL of its own (or on DATABASE_URL, if that is set); SQLite otherwise.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests import postgresql

HOME = Path(tempfile.mkdtemp(prefix="codec-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


for _name in [name for name in os.environ if name.startswith(("CODEC_", "DJANGO_SECRET", "ALLOWED_HOSTS", "PORT"))]:
    del os.environ[_name]
if os.environ.get("TEST_DATABASE") != "postgresql":
    os.environ.pop("DATABASE_URL", None)
elif "DATABASE_URL" not in os.environ:
    os.environ["DATABASE_URL"] = postgresql.start(HOME / "postgresql").get_uri()
os.environ["CODEC_VAR"] = str(HOME / "var")
(HOME / "tmp").mkdir()
tempfile.tempdir = str(HOME / "tmp")
