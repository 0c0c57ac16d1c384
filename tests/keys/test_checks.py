"""What `check --deploy` finds wrong with the vault."""

import pytest
from django.db import connection

from keys import epoch
from tests.commands import failed_checks


def test_working_vault_has_nothing_wrong(db):
    assert not {check for check in failed_checks() if check.startswith("keys.")}


@pytest.mark.parametrize("kek", ["nonsense:", "local:", "local:/nowhere/kek"])
def test_kek_that_does_not_work_is_an_error(db, settings, kek):
    settings.CODEC_KEK = kek
    assert "keys.E001" in failed_checks()


def test_missing_trigger_of_the_policy_epoch_is_an_error(db):
    with connection.cursor() as cursor:
        cursor.execute(epoch.TRIGGERS[0].drop(connection.vendor))
    assert "keys.E002" in failed_checks()
