"""What a server says of itself in the audit when it starts and when it ends."""

import signal
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError

import codecsite
from codec import server_record
from demo.codec_server import ROOT, Installation, set_up
from demo.processes import free_port, running
from keys.models import AuditRecord
from tests.conftest import UI_ORIGIN

CANARY = "canary-of-a-setting-6b1d"
SECRETS = ["CODEC_KEK_RING", "CODEC_PKCS11_PIN", "OIDC_RP_CLIENT_SECRET", "CODEC_WEBHOOK_URL", "SECRET_KEY"]
ALWAYS_SECRET = ["CODEC_AUDIT_KEY", "CODEC_AUDIT_SIGNING_KEY", "DATABASES", "CODEC_KEK"]


def test_start_is_recorded_with_version_and_settings(db):
    server_record.started()
    details = AuditRecord.objects.get(action="server:started").details
    assert details["version"] == codecsite.__version__
    assert details["settings"]["CODEC_PUBLIC_URL"] == django_settings.CODEC_PUBLIC_URL
    assert details["settings"]["CODEC_MAX_PAYLOADS"] == 2000
    assert details["settings"]["CODEC_LOCAL_PASSWORDS"] is True
    assert details["settings"]["CODEC_UI_ORIGINS"] == django_settings.CODEC_UI_ORIGINS


def test_every_setting_of_ours_is_named(db):
    names = {name for name in dir(django_settings) if name.startswith("CODEC_")}
    assert names <= server_record.seen().keys()


@pytest.mark.parametrize("name", SECRETS)
def test_secret_is_a_digest(settings, name):
    setattr(settings, name, CANARY)
    seen = server_record.seen()
    assert CANARY not in str(seen)
    assert seen[name].startswith("digest ")


@pytest.mark.parametrize("name", ALWAYS_SECRET)
def test_what_may_hold_a_secret_is_a_digest(name):
    assert server_record.seen()[name].startswith("digest ")


def test_setting_that_nobody_thought_of_is_a_digest(settings):
    settings.CODEC_OF_TOMORROW = CANARY
    assert server_record.seen()["CODEC_OF_TOMORROW"].startswith("digest ")


def test_digest_tells_that_a_secret_has_changed(settings):
    settings.CODEC_PKCS11_PIN = "1234"
    before = server_record.seen()["CODEC_PKCS11_PIN"]
    settings.CODEC_PKCS11_PIN = "1235"
    assert server_record.seen()["CODEC_PKCS11_PIN"] != before


def test_digest_of_the_same_value_differs_by_name(settings):
    settings.CODEC_PKCS11_PIN = settings.CODEC_KEK_RING = CANARY
    seen = server_record.seen()
    assert seen["CODEC_PKCS11_PIN"] != seen["CODEC_KEK_RING"]


def test_digest_cannot_be_guessed_without_the_audit_key(settings):
    settings.CODEC_PKCS11_PIN = "1234"
    before = server_record.seen()["CODEC_PKCS11_PIN"]
    settings.CODEC_AUDIT_KEY = "ab" * 32
    assert server_record.seen()["CODEC_PKCS11_PIN"] != before


def test_start_that_cannot_be_recorded_is_an_error(audit_unwritable):
    with pytest.raises(DatabaseError):
        server_record.started()


def test_end_that_cannot_be_recorded_is_logged(audit_unwritable, caplog):
    server_record.stopped()
    assert "could not be recorded" in caplog.text


def test_version_is_that_of_the_project():
    line = f'version = "{codecsite.__version__}"'
    assert line in (ROOT / "pyproject.toml").read_text().splitlines()


@pytest.fixture
def server(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path, free_port(), [UI_ORIGIN])
    set_up(installation)
    return installation


def acts(server: Installation) -> list[str]:
    script = (
        "from keys.models import AuditRecord; "
        "print(*AuditRecord.objects.filter(action__startswith='server:').order_by('id').values_list('action', flat=1))"
    )
    return server.manage("shell", "--verbosity=0", "-c", script).split()


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_server_that_ends_in_order_says_so(server, ended_by):
    with serve(server) as process:
        process.send_signal(ended_by)
        process.wait(10)
    assert acts(server) == ["server:started", "server:stopped"]


def test_server_that_was_killed_says_nothing(server):
    with serve(server) as process:
        process.kill()
        process.wait(10)
    assert acts(server) == ["server:started"]


def serve(server: Installation):
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    ready = f"{server.url}/healthz"
    return running(command, log=server.directory / "log", ready_url=ready, env=server.environment())
