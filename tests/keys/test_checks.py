"""What `check --deploy` finds wrong with the vault."""

import base64
from itertools import combinations

import pytest
from django.core.checks import run_checks
from django.db import connection

from keys import append_only, epoch
from tests.commands import failed_checks


def test_working_vault_has_nothing_wrong(db):
    assert not {check for check in failed_checks() if check.startswith("keys.E")}


@pytest.mark.parametrize("kek", ["nonsense:", "local:", "local:/nowhere/kek"])
def test_kek_that_does_not_work_is_an_error(db, settings, kek):
    settings.CODEC_KEK = kek
    assert "keys.E001" in failed_checks()


def test_missing_trigger_of_the_policy_epoch_is_an_error(db):
    with connection.cursor() as cursor:
        cursor.execute(epoch.TRIGGERS[0].drop(connection.vendor))
    assert "keys.E002" in failed_checks()


@pytest.mark.parametrize("name", append_only.SQLITE if connection.vendor == "sqlite" else append_only.POSTGRESQL)
def test_missing_append_only_trigger_is_an_error(db, name):
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + (" ON keys_auditrecord" if connection.vendor == "postgresql" else ""))
    assert "keys.E004" in failed_checks()


def test_role_that_owns_the_tables_is_a_warning_on_postgresql(db):
    assert ("keys.W001" in failed_checks()) == (connection.vendor == "postgresql")


SECRETS = ["CODEC_AUDIT_KEY", "CODEC_AUDIT_SIGNING_KEY", "SECRET_KEY"]
KEY = bytes(range(32))


@pytest.mark.parametrize(("one", "other"), list(combinations(SECRETS, 2)))
def test_same_secret_twice_is_an_error(db, settings, one, other):
    setattr(settings, one, KEY.hex())
    setattr(settings, other, KEY.hex())
    assert "keys.E003" in failed_checks()


def test_same_secret_in_other_digits_is_an_error(db, settings):
    settings.SECRET_KEY, settings.CODEC_AUDIT_KEY = KEY.hex().upper(), KEY.hex()
    assert "keys.E003" in failed_checks()


def test_secret_key_that_is_the_audit_key_in_base64_is_an_error(db, settings):
    settings.SECRET_KEY, settings.CODEC_AUDIT_KEY = base64.b64encode(KEY).decode(), KEY.hex()
    assert "keys.E003" in failed_checks()


@pytest.mark.parametrize("name", SECRETS)
def test_secret_that_is_the_local_kek_is_an_error(db, settings, name):
    settings.CODEC_KEK, settings.CODEC_KEK_RING = "local:env", f"kek-1 {base64.b64encode(KEY).decode()}"
    setattr(settings, name, KEY.hex())
    assert "keys.E003" in failed_checks()


def test_local_kek_in_a_file_is_compared_too(db, settings, tmp_path):
    (tmp_path / "kek").write_text(f"kek-1 {base64.b64encode(KEY).decode()}\n")
    (tmp_path / "kek").chmod(0o600)
    settings.CODEC_KEK, settings.CODEC_AUDIT_KEY = f"local:{tmp_path / 'kek'}", KEY.hex()
    assert "keys.E003" in failed_checks()


def test_kek_that_cannot_be_read_is_not_compared(db, settings):
    settings.CODEC_KEK = "local:/nowhere/kek"
    assert "keys.E003" not in failed_checks()


def test_error_names_the_secrets_and_not_their_values(db, settings):
    settings.CODEC_AUDIT_KEY = settings.CODEC_AUDIT_SIGNING_KEY = KEY.hex()
    (message,) = [found for found in run_checks() if found.id == "keys.E003"]
    assert message.msg == "CODEC_AUDIT_KEY is the same as CODEC_AUDIT_SIGNING_KEY."
