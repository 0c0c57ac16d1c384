"""Is it still used? From the audit, per version and day."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keys import audit, lifecycle, rotation, usage
from keys.models import KeyUse, KeyVersion
from tests.conftest import OPERATOR
from tests.database import write_lines


@pytest.fixture
def version(payments):
    return payments.key_versions.get()


def write(action: str, key_id: str, number: int, *, days_ago: float, outcome: str = "allowed") -> None:
    line = audit.compose(
        action, actor=OPERATOR, outcome=outcome, namespace="payments", details={"keys": {key_id: number}}
    )
    line.at = timezone.now() - timedelta(days=days_ago)
    write_lines(line)


def test_decodes_and_encodes_are_summed_up(version):
    write("payload:decoded", version.key_id, 3, days_ago=40)
    write("payload:decoded", version.key_id, 5, days_ago=2)
    write("payload:encoded", version.key_id, 7, days_ago=20)
    write("payload:encoded", version.key_id, 1, days_ago=10)
    use, today = usage.use_of(version), timezone.now().date()
    assert use.last_decode == today - timedelta(days=2)
    assert use.decodes_in_30_days == 5
    assert (use.first_encode, use.last_encode) == (today - timedelta(days=20), today - timedelta(days=10))


def test_record_is_counted_once(version):
    write("payload:decoded", version.key_id, 3, days_ago=1)
    usage.refresh()
    usage.refresh()
    assert usage.use_of(version).decodes_in_30_days == 3


def test_denied_and_failed_requests_do_not_count(version):
    write("payload:decoded", version.key_id, 3, days_ago=1, outcome="denied")
    write("payload:decoded", version.key_id, 3, days_ago=1, outcome="failed")
    assert usage.use_of(version) == usage.Use(None, 0, None, None)


def test_record_of_the_last_minute_waits(version):
    write("payload:decoded", version.key_id, 3, days_ago=0)
    assert usage.use_of(version).decodes_in_30_days == 0


def test_key_of_the_same_id_elsewhere_is_not_counted(version):
    other = rotation.create_namespace("other", actor=OPERATOR).key_versions.get()
    KeyVersion.objects.filter(pk=other.pk).update(key_id=version.key_id)
    write("payload:decoded", version.key_id, 3, days_ago=1)
    usage.refresh()
    assert not KeyUse.objects.filter(version=other).exists()


def test_version_that_never_encoded_is_not_needed(payments):
    published = rotation.publish_key(payments, actor=OPERATOR, reason="test")
    assert usage.needed_until(published) is None


def test_version_is_needed_for_the_retention_after_its_last_encode(payments):
    published = rotation.publish_key(payments, actor=OPERATOR, reason="test")
    write("payload:encoded", published.key_id, 1, days_ago=10)
    assert timedelta(days=79) < usage.needed_until(published) - timezone.now() < timedelta(days=82)


def test_share_of_the_limit_needs_a_rate(version):
    assert usage.estimated_share_of_limit(version) is None


def test_share_of_the_limit_grows_with_age_and_rate(payments, version):
    payments.expected_encryptions_per_day = 2**25
    payments.save()
    KeyVersion.objects.update(created_at=timezone.now() - timedelta(days=64))
    version.refresh_from_db()
    assert usage.estimated_share_of_limit(version) == pytest.approx(0.5, abs=0.001)


class TestImportedKey:
    """Workers had it before this server did, and use it unseen."""

    @pytest.fixture
    def imported(self, payments):
        return rotation.import_key(payments, "workers", bytes(range(32)), primary=False, actor=OPERATOR)

    def test_enabled_one_is_needed(self, imported):
        assert usage.needed_until(imported) - timezone.now() > timedelta(days=89)

    def test_one_disabled_for_longer_than_the_retention_is_not(self, imported):
        disabled = lifecycle.disable(imported, actor=OPERATOR, reason="test")
        disabled.state_changed_at = timezone.now() - timedelta(days=91)
        assert usage.needed_until(disabled) < timezone.now()
