"""Every pair of state and verb, and what each move leaves behind."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keys import lifecycle, rotation
from keys.errors import ReasonRequired, StillNeeded, TransitionRefused
from keys.lifecycle import Verb
from keys.models import AuditRecord, KeyVersion
from keys.rotation import publish_key
from tests.conftest import OPERATOR

State = KeyVersion.State
WHY = {"actor": OPERATOR, "reason": "test"}
ALLOWED = {
    (State.ENABLED, Verb.DISABLE): State.DISABLED,
    (State.ENABLED, Verb.SCHEDULE_DESTRUCTION): State.DESTROY_SCHEDULED,
    (State.DISABLED, Verb.ENABLE): State.ENABLED,
    (State.DISABLED, Verb.SCHEDULE_DESTRUCTION): State.DESTROY_SCHEDULED,
    (State.DESTROY_SCHEDULED, Verb.CANCEL_DESTRUCTION): State.DISABLED,
}
BY_A_PERSON = {
    Verb.DISABLE: lifecycle.disable,
    Verb.ENABLE: lifecycle.enable,
    Verb.SCHEDULE_DESTRUCTION: lifecycle.schedule_destruction,
    Verb.CANCEL_DESTRUCTION: lifecycle.cancel_destruction,
}


def put_into(state: str, version: KeyVersion) -> KeyVersion:
    """Lead a fresh ENABLED version into `state` by the verbs alone."""
    if state == State.DISABLED:
        return lifecycle.disable(version, **WHY)
    if state in {State.DESTROY_SCHEDULED, State.DESTROYED}:
        version = lifecycle.schedule_destruction(version, **WHY, override=True)
    if state == State.DESTROYED:
        lifecycle.destroy_due(actor=OPERATOR, now=timezone.now() + timedelta(days=31))
    version.refresh_from_db()
    return version


@pytest.fixture
def version(payments):
    return publish_key(payments, **WHY)


@pytest.mark.parametrize("verb", BY_A_PERSON)
@pytest.mark.parametrize("state", State)
def test_every_pair_of_state_and_verb(version, state, verb):
    version = put_into(state, version)
    expected = ALLOWED.get((state, verb))
    if expected is None:
        with pytest.raises(TransitionRefused):
            BY_A_PERSON[verb](version, **WHY)
        expected = state
    else:
        BY_A_PERSON[verb](version, **WHY)
    version.refresh_from_db()
    assert version.state == expected


@pytest.mark.parametrize("verb", BY_A_PERSON)
def test_primary_is_never_moved(payments, verb):
    with pytest.raises((TransitionRefused, StillNeeded)):
        BY_A_PERSON[verb](payments.key_versions.get(is_primary=True), **WHY)
    assert payments.key_versions.get(is_primary=True).state == State.ENABLED


@pytest.mark.parametrize("state", [State.DISABLED, State.DESTROY_SCHEDULED, State.DESTROYED])
def test_only_an_enabled_version_is_promoted(version, state):
    with pytest.raises(TransitionRefused):
        rotation.promote_key(put_into(state, version), **WHY)


def test_promoting_an_older_version_is_possible(payments, version):
    first = payments.key_versions.get(is_primary=True)
    rotation.promote_key(version, **WHY)
    rotation.promote_key(first, **WHY)
    assert payments.key_versions.get(is_primary=True) == first


@pytest.mark.parametrize("verb", BY_A_PERSON)
def test_every_verb_wants_a_reason(version, verb):
    with pytest.raises(ReasonRequired):
        BY_A_PERSON[verb](version, actor=OPERATOR, reason=" ")


def test_move_is_recorded_with_its_reason(version):
    lifecycle.disable(version, **WHY)
    record = AuditRecord.objects.latest("id")
    assert (record.action, record.namespace) == ("key:disabled", "payments")
    assert record.details == {"key_id": version.key_id, "from": "ENABLED", "reason": "test"}


def test_destruction_waits_for_its_day(version):
    lifecycle.schedule_destruction(version, **WHY)
    assert lifecycle.destroy_due(actor=OPERATOR, now=timezone.now() + timedelta(days=29)) == []
    version.refresh_from_db()
    assert version.wrapped is not None


def test_destroyed_version_has_no_material_and_keeps_its_id(version):
    version = put_into(State.DESTROYED, version)
    assert (version.wrapped, version.destroy_at) == (None, None)
    assert KeyVersion.objects.filter(key_id=version.key_id).exists()


def test_destroying_twice_destroys_once(version):
    put_into(State.DESTROYED, version)
    assert lifecycle.destroy_due(actor=OPERATOR, now=timezone.now() + timedelta(days=99)) == []


def test_destruction_in_less_than_a_week_is_refused(version):
    with pytest.raises(TransitionRefused):
        lifecycle.schedule_destruction(version, **WHY, days=6)


class TestStillNeeded:
    @pytest.fixture
    def former_primary(self, payments):
        first = payments.key_versions.get(is_primary=True)
        rotation.rotate_key(payments, **WHY)
        first.refresh_from_db()
        return first

    def test_version_that_was_primary_within_the_retention_is_refused(self, former_primary):
        with pytest.raises(StillNeeded):
            lifecycle.schedule_destruction(former_primary, **WHY)

    def test_override_with_a_reason_schedules_it_all_the_same(self, former_primary):
        lifecycle.schedule_destruction(former_primary, **WHY, override=True)
        assert AuditRecord.objects.latest("id").details["override"] is True

    def test_version_retired_before_the_retention_is_not_needed(self, former_primary):
        KeyVersion.objects.update(last_primary_at=timezone.now() - timedelta(days=91))
        former_primary.refresh_from_db()
        assert lifecycle.schedule_destruction(former_primary, **WHY).state == State.DESTROY_SCHEDULED


@pytest.mark.parametrize("state", [State.DISABLED, State.DESTROY_SCHEDULED, State.DESTROYED])
def test_version_that_is_not_enabled_decodes_nothing_on_the_next_request(browser, encoded, payments, state):
    rotation.rotate_key(payments, **WHY)
    version = KeyVersion.objects.get(key_id="canary")
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 200
    put_into(state, version)
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 400
