"""The first KEK: made once for a new installation, never beside keys that need another."""

import stat
from pathlib import Path

import pytest

from keys.errors import VaultUnavailable
from keys.kek import ensure_local_kek
from keys.models import KeyVersion
from keys.rotation import create_namespace
from tests.conftest import OPERATOR


@pytest.fixture
def new_path(settings, tmp_path) -> Path:
    """Where CODEC_KEK points to; there is nothing yet."""
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    return tmp_path / "kek"


def test_new_installation_gets_a_kek_that_works(db, new_path):
    assert ensure_local_kek()
    assert stat.S_IMODE(new_path.stat().st_mode) == 0o600
    assert create_namespace("payments", actor=OPERATOR)


def test_kek_is_made_once(db, new_path):
    ensure_local_kek()
    before = new_path.read_text()
    assert not ensure_local_kek()
    assert new_path.read_text() == before


def test_no_kek_is_made_beside_keys_that_need_another(payments, new_path):
    with pytest.raises(VaultUnavailable, match="Restore it"):
        ensure_local_kek()
    assert not new_path.exists()


def test_destroyed_keys_need_no_kek(payments, new_path):
    KeyVersion.objects.update(state="DESTROYED", wrapped=None, is_primary=False)
    assert ensure_local_kek()


def test_kek_of_another_provider_is_not_made_here(db, settings):
    settings.CODEC_KEK = "vault:transit/codec"
    assert not ensure_local_kek()
