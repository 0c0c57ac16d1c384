"""An installation of the benchmark's own, in a folder that can be kept for the next measurement."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def installation(folder: Path, *, postgresql: bool) -> Iterator[None]:
    """Set Django up on what lies in `folder`, or on a new installation there."""
    for name in [name for name in os.environ if name.startswith(("CODEC_", "DATABASE_URL"))]:
        del os.environ[name]
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"CODEC_VAR": str(folder / "var"), "DJANGO_SETTINGS_MODULE": "codecsite.settings"}
    server = None
    if postgresql:
        from tests import postgresql as server_of_tests

        server = server_of_tests.start(folder.resolve() / "postgresql", cleanup_mode="stop")
        os.environ["DATABASE_URL"] = server.get_uri()
    try:
        _set_up()
        yield
    finally:
        if server is not None:
            _disconnect()
            server.cleanup()


def _set_up() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("setup_roles", stdout=open(os.devnull, "w"))  # noqa: SIM115


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()
