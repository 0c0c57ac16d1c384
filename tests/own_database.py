"""A database for an installation of its own, of the kind that this run is on."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest


@pytest.fixture
def database_url(tmp_path: Path) -> Iterator[str]:
    """SQLite, or another database of the same PostgreSQL."""
    server = os.environ.get("DATABASE_URL")
    if not server:
        yield f"sqlite:///{tmp_path / 'db.sqlite3'}"
        return
    name = f"own_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
