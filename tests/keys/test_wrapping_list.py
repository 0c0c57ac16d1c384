"""Several KEKs in CODEC_KEK: the self-test of each, and when a new installation makes its first."""

import pytest
from django.core.checks import run_checks

from keys import selftest
from keys.errors import VaultUnavailable
from keys.kek import ensure_local_kek
from keys.rewrap import rewrap_keys
from keys.selftest import check_kek, kek_problems
from keys.wrapping.local import create_ring
from tests.conftest import OPERATOR
from tests.kms import Keks

# The self-test --------------------------------------------------------------------------------------------------------


def test_every_provider_passes(keks: Keks, settings):
    settings.CODEC_KEK = f"{keks.first}, {keks.second}"
    check_kek()


def test_second_kek_that_does_not_work_is_named_by_its_place(settings):
    settings.CODEC_KEK += " local:/nowhere/kek"
    assert kek_problems() == [
        "KEK 2 of CODEC_KEK does not work. The KEK file /nowhere/kek cannot be read: FileNotFoundError."
    ]


def test_each_kek_that_does_not_work_is_a_deployment_error(db, settings):
    settings.CODEC_KEK = f"local:/nowhere/first {settings.CODEC_KEK} local:/nowhere/third"
    errors = [message for message in run_checks(include_deployment_checks=True) if message.id == "keys.E001"]
    assert [str(error.msg)[:5] for error in errors] == ["KEK 1", "KEK 3"]


@pytest.mark.parametrize("setting", ["canary-secret", "local:/x canary-secret:y", "pkcs11:pin=canary-secret"])
def test_setting_is_not_shown(settings, setting):
    settings.CODEC_KEK = setting
    assert "canary-secret" not in " ".join(kek_problems())


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Grows by one each time the KEKs are tried."""
    times: list[int] = []
    monkeypatch.setattr(selftest, "kek_problems", lambda: times.append(1) or ["It is away."])
    monkeypatch.setattr(selftest, "_last", ("", 0.0, []))
    return times


def test_finding_young_enough_stands(asked):
    for _ in range(3):
        with pytest.raises(VaultUnavailable, match="It is away"):
            check_kek(max_age=60)
    assert len(asked) == 1


def test_without_an_age_the_keks_are_tried_each_time(asked):
    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            check_kek()
    assert len(asked) == 3


def test_finding_about_another_setting_does_not_stand(asked, settings):
    for setting in ("local:/a", "local:/b"):
        settings.CODEC_KEK = setting
        with pytest.raises(VaultUnavailable):
            check_kek(max_age=60)
    assert len(asked) == 2


# The first KEK of an installation -------------------------------------------------------------------------------------


def test_new_file_before_a_kek_that_holds_all_keys_is_made(payments, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'new'} {settings.CODEC_KEK}"
    assert ensure_local_kek()
    assert rewrap_keys(actor=OPERATOR).moved == 1


def test_new_file_before_a_kek_that_does_not_hold_all_keys_is_not_made(payments, settings, tmp_path):
    create_ring(tmp_path / "other")
    settings.CODEC_KEK = f"local:{tmp_path / 'new'} local:{tmp_path / 'other'}"
    with pytest.raises(VaultUnavailable, match="Restore it"):
        ensure_local_kek()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("setting", ["local:env", "awskms:alias/codec local:/nowhere/kek"])
def test_no_file_is_made_when_the_first_kek_is_none(db, settings, setting):
    settings.CODEC_KEK = setting
    assert not ensure_local_kek()
