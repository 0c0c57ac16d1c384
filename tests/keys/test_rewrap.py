"""Moving data keys to another KEK: which are moved, which stay, and that a kill at any moment loses nothing."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.backends.utils import CursorWrapper

from keys import keyring, lifecycle, rewrap
from keys.audit import AuditAction
from keys.errors import VaultUnavailable
from keys.keyring import unwrap
from keys.models import AuditRecord, KeyVersion
from keys.rewrap import Failure, rewrap_keys, stored_by_kek
from keys.rotation import create_namespace, promote_key, rotate_key
from keys.wrapping import kek
from keys.wrapping.local import create_ring
from tests import canary
from tests.commands import manage
from tests.conftest import OPERATOR
from tests.database import audit_unwritable  # noqa: F401  a fixture

KEYS_OF_PAYMENTS = 4


@pytest.fixture
def versions(payments, canary_key) -> list[KeyVersion]:
    """Four versions of `payments`: two enabled (one the primary), one disabled, one scheduled for destruction."""
    disabled = rotate_key(payments, actor=OPERATOR, reason="test")
    scheduled = rotate_key(payments, actor=OPERATOR, reason="test")
    promote_key(canary_key, actor=OPERATOR, reason="test")
    lifecycle.disable(disabled, actor=OPERATOR, reason="test")
    lifecycle.schedule_destruction(scheduled, actor=OPERATOR, reason="test", override=True)
    return list(payments.key_versions.all())


@pytest.fixture
def new_kek(settings, tmp_path) -> str:
    """A new KEK stands before the old one. Returns its id."""
    create_ring(tmp_path / "new-kek")
    settings.CODEC_KEK = f"local:{tmp_path / 'new-kek'}, {settings.CODEC_KEK}"
    return kek().primary_id()


def only_the_new(settings) -> None:
    """Take the old KEK away."""
    settings.CODEC_KEK = settings.CODEC_KEK.partition(",")[0]


def keks_of(namespace) -> set[str]:
    return set(namespace.key_versions.values_list("kek_id", flat=True))


# What is moved --------------------------------------------------------------------------------------------------------


def test_every_state_but_destroyed_moves_and_keeps_its_key(versions, new_kek, settings):
    before = {version.pk: unwrap(version) for version in versions}
    report = rewrap_keys(actor=OPERATOR)
    assert (report.total, report.moved, report.left, report.failures) == (KEYS_OF_PAYMENTS, KEYS_OF_PAYMENTS, 0, [])
    only_the_new(settings)
    assert {version.pk: unwrap(version) for version in KeyVersion.objects.all()} == before


def test_nothing_but_kek_and_wrapped_key_changes(versions, new_kek):
    before = list(KeyVersion.objects.order_by("pk").values())
    rewrap_keys(actor=OPERATOR)
    for old, new in zip(before, KeyVersion.objects.order_by("pk").values(), strict=True):
        assert {name for name in old if old[name] != new[name]} == {"kek_id", "wrapped"}


def test_destroyed_key_keeps_its_tombstone_as_it_is(versions, new_kek):
    KeyVersion.objects.filter(state="DESTROY_SCHEDULED").update(state="DESTROYED", wrapped=None, destroy_at=None)
    report = rewrap_keys(actor=OPERATOR)
    assert (report.moved, report.left, report.failures) == (KEYS_OF_PAYMENTS - 1, 0, [])
    assert KeyVersion.objects.get(state="DESTROYED").kek_id != new_kek


def test_only_the_namespace_asked_for_is_moved(versions, payments, new_kek):
    other = create_namespace("payroll", actor=OPERATOR)
    KeyVersion.objects.filter(namespace=other).update(kek_id="elsewhere")
    report = rewrap_keys(actor=OPERATOR, namespace=payments)
    assert (report.total, report.moved, report.left) == (KEYS_OF_PAYMENTS, KEYS_OF_PAYMENTS, 0)
    assert (keks_of(payments), keks_of(other)) == ({new_kek}, {"elsewhere"})


def test_second_run_finds_nothing_to_do(versions, new_kek):
    rewrap_keys(actor=OPERATOR)
    wrapped = list(KeyVersion.objects.values_list("wrapped", flat=True))
    assert rewrap_keys(actor=OPERATOR).total == 0
    assert list(KeyVersion.objects.values_list("wrapped", flat=True)) == wrapped


def test_payload_encoded_before_decodes_after(browser, encoded, new_kek, settings):
    rewrap_keys(actor=OPERATOR)
    only_the_new(settings)
    keyring.cache.clear()
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 200


@pytest.mark.parametrize(("size", "progress"), [(1, [1, 2, 3, 4]), (3, [3, 4]), (100, [4])])
def test_progress_is_told_after_each_batch(versions, new_kek, size, progress):
    told = []
    rewrap_keys(actor=OPERATOR, batch=size, tell=lambda report: told.append(report.moved))
    assert told == progress


def test_each_key_moved_is_recorded_with_both_keks(versions, new_kek):
    former = versions[0].kek_id
    rewrap_keys(actor=OPERATOR)
    records = AuditRecord.objects.filter(action=AuditAction.KEY_REWRAPPED).order_by("pk")
    assert [record.details for record in records] == [
        {"key_id": version.key_id, "from": former, "to": new_kek} for version in sorted(versions, key=lambda v: v.pk)
    ]
    assert {record.namespace for record in records} == {"payments"}


# What is not moved ----------------------------------------------------------------------------------------------------


def fault(version: KeyVersion, **columns: object) -> Failure:
    """Change columns behind the project's back; return the failure to expect, but for its reason."""
    KeyVersion.objects.filter(pk=version.pk).update(**columns)
    version.refresh_from_db()
    return Failure("payments", version.key_id, version.kek_id, "")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"check_value": b"wrong..."}, "does not match its check value"),
        ({"wrapped": b"\x01" + bytes(60)}, "does not unwrap this key"),
        ({"kek_id": "gone"}, "CODEC_KEK holds no KEK gone"),
        ({"number": 99}, "does not unwrap this key"),
    ],
)
def test_key_that_is_wrong_stays_as_it_is_and_the_others_move(versions, new_kek, columns, reason):
    wrong = next(version for version in versions if not version.is_primary)
    expected = fault(wrong, **columns)
    report = rewrap_keys(actor=OPERATOR, batch=2)
    assert (report.moved, report.left) == (KEYS_OF_PAYMENTS - 1, 1)
    assert [(one.namespace, one.key_id, one.kek_id) for one in report.failures] == [
        (expected.namespace, expected.key_id, expected.kek_id)
    ]
    assert reason in report.failures[0].reason
    assert bytes(KeyVersion.objects.get(pk=wrong.pk).wrapped) == bytes(wrong.wrapped)


def test_key_changed_meanwhile_is_left_alone(versions, new_kek, monkeypatch):
    def destroyed_first(moves, actor):
        KeyVersion.objects.filter(state="DESTROY_SCHEDULED").update(state="DESTROYED", wrapped=None, destroy_at=None)
        return commit(moves, actor)

    commit = rewrap._commit
    monkeypatch.setattr(rewrap, "_commit", destroyed_first)
    assert rewrap_keys(actor=OPERATOR).moved == KEYS_OF_PAYMENTS - 1
    assert KeyVersion.objects.get(state="DESTROYED").wrapped is None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows: one writer at a time")
def test_key_locked_by_another_is_left_to_it(transactional_db, versions, new_kek):
    with another_transaction() as cursor:
        cursor.execute("SELECT id FROM keys_keyversion WHERE id = %s FOR UPDATE", [versions[0].pk])
        report = rewrap_keys(actor=OPERATOR)
    assert (report.moved, report.left, report.failures) == (KEYS_OF_PAYMENTS - 1, 1, [])


@contextmanager
def another_transaction() -> Iterator[CursorWrapper]:
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            yield cursor
        other.rollback()
    finally:
        other.close()


def test_batch_that_cannot_be_recorded_is_undone(versions, payments, new_kek, audit_unwritable):
    with pytest.raises(DatabaseError):
        rewrap_keys(actor=OPERATOR)
    assert new_kek not in keks_of(payments)


def test_primary_kek_that_fails_ends_the_run(versions, payments, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'nowhere'}, {settings.CODEC_KEK}"
    with pytest.raises(VaultUnavailable, match="FileNotFoundError"):
        rewrap_keys(actor=OPERATOR)


def test_primary_kek_that_gives_back_another_key_ends_the_run(versions, payments, new_kek, monkeypatch):
    real = kek().wrap
    monkeypatch.setattr(kek(), "wrap", lambda data_key, binding: real(os.urandom(32), binding))
    with pytest.raises(VaultUnavailable, match="check value"):
        rewrap_keys(actor=OPERATOR)
    assert new_kek not in keks_of(payments)


# The command ----------------------------------------------------------------------------------------------------------


def test_command_tells_progress_and_what_each_kek_wraps_now(versions, new_kek):
    assert manage("rewrap_keys", "--batch", "3").splitlines() == [
        "3 of 4 moved, 0 failed",
        "4 of 4 moved, 0 failed",
        f"Moved 4 key(s) to {new_kek}.",
        f"       4 key(s) under {new_kek}",
    ]


def test_command_writes_json(versions, new_kek):
    assert json.loads(manage("rewrap_keys", "--json", "--namespace", "payments")) == {
        "target": new_kek,
        "total": 4,
        "moved": 4,
        "failures": [],
        "left": 0,
        "stored_by_kek": {new_kek: 4},
    }


def test_command_fails_when_a_key_could_not_be_moved(versions, new_kek, capsys):
    fault(versions[0], kek_id="gone")
    with pytest.raises(CommandError, match=r"1 key\(s\) are not under the KEK"):
        manage("rewrap_keys")
    assert stored_by_kek() == {new_kek: 3, "gone": 1}


@pytest.mark.parametrize("options", [("--batch", "0"), ("--batch", "-1"), ("--namespace", "nowhere")])
def test_command_refuses(db, options):
    with pytest.raises(CommandError, match=r"at least one key|no namespace"):
        manage("rewrap_keys", *options)


def test_command_never_shows_a_key(versions, new_kek):
    fault(versions[0], check_value=b"wrong...")
    with pytest.raises(CommandError) as refusal:
        manage("rewrap_keys")
    canary.check("the refusal", str(refusal.value))
