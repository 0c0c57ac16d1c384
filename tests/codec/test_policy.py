"""A request is decided by the policy in force when its record is committed, or afresh."""

import pytest

from codec import codec_call
from codec.grants import revoke_grant
from codec.models import Grant, UserSession
from keys import epoch, keyring, lifecycle, rotation
from keys.models import AuditRecord, KeyVersion
from tests.conftest import OPERATOR, PLAIN

WHY = {"actor": OPERATOR, "reason": "test"}


@pytest.fixture
def in_the_middle(monkeypatch):
    """Return a function that makes something happen once, after a request was decided and before it is recorded."""

    def arrange(happen) -> None:
        allow, left = codec_call.Entry.allow, [happen]

        def allow_after(entry: codec_call.Entry) -> None:
            if left:
                left.pop()()
            allow(entry)

        monkeypatch.setattr(codec_call.Entry, "allow", allow_after)

    return arrange


@pytest.mark.parametrize(
    ("happen", "status"),
    [
        (lambda: revoke_grant(Grant.objects.get(), **WHY), 403),
        (lambda: UserSession.objects.all().delete(), 401),
        (lambda: KeyVersion.objects.filter(key_id="canary").update(state="DISABLED", is_primary=False), 400),
    ],
    ids=["revoked", "signed out", "key disabled"],
)
def test_what_changes_in_the_middle_decides(browser, encoded, in_the_middle, happen, status):
    in_the_middle(happen)
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == status
    assert not AuditRecord.objects.filter(action="payload:decoded", outcome="allowed").exists()


def test_rotation_in_the_middle_fails_no_request(browser, encoded, payments, in_the_middle):
    in_the_middle(lambda: rotation.rotate_key(payments, **WHY))
    assert browser.call("/decode", {"payloads": [encoded]}).json() == {"payloads": [PLAIN]}
    assert AuditRecord.objects.filter(action="payload:decoded").count() == 1


def test_policy_that_never_holds_still_is_503(browser, encoded, monkeypatch):
    def moved(record: object, number: int | None) -> None:
        raise epoch.PolicyMoved

    monkeypatch.setattr(codec_call.codec_requests, "write", moved)
    assert browser.call("/decode", {"payloads": [encoded]}).status_code == 503
    assert not AuditRecord.objects.filter(action="payload:decoded").exists()


class TestKeyCache:
    def test_second_request_unwraps_nothing(self, browser, encoded, monkeypatch):
        browser.call("/decode", {"payloads": [encoded]})
        monkeypatch.setattr(keyring, "unwrap", None)
        assert browser.call("/decode", {"payloads": [encoded]}).status_code == 200

    def test_cached_key_serves_while_the_kek_is_away(self, browser, encoded, settings):
        browser.call("/decode", {"payloads": [encoded]})
        settings.CODEC_KEK = "local:/nowhere"
        assert browser.call("/decode", {"payloads": [encoded]}).status_code == 200

    def test_expired_key_does_not(self, browser, encoded, settings):
        settings.CODEC_KEY_CACHE_SECONDS = 0
        browser.call("/decode", {"payloads": [encoded]})
        settings.CODEC_KEK = "local:/nowhere"
        answer = browser.call("/decode", {"payloads": [encoded]})
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")

    def test_key_of_an_older_epoch_does_not(self, browser, encoded, payments, settings):
        browser.call("/decode", {"payloads": [encoded]})
        lifecycle.disable(rotation.publish_key(payments, **WHY), **WHY)
        settings.CODEC_KEK = "local:/nowhere"
        assert browser.call("/decode", {"payloads": [encoded]}).status_code == 503

    def test_cache_is_bounded(self, settings):
        settings.CODEC_KEY_CACHE_SIZE = 3
        cache = keyring.KeyCache()
        for number in range(10):
            cache.put((1, str(number)), 1, None)
        assert [cache.get((1, str(number)), 1)[0] for number in range(10)] == [False] * 7 + [True] * 3

    def test_newer_epoch_drops_everything_and_an_older_one_is_not_kept(self):
        cache = keyring.KeyCache()
        cache.put((1, "a"), 1, None)
        cache.put((1, "b"), 2, None)
        cache.put((1, "c"), 1, None)
        assert [cache.get((1, name), 2)[0] for name in "abc"] == [False, True, False]
        assert cache.get((1, "b"), 1) == (False, None)
