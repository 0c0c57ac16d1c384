"""What the front layer does by itself, without a server around it; tests/e2e/test_front.py has the rest."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from codec import front as front_module
from codec.authorization import Allowed
from codec.callers.principal import Principal
from codec.front import Front, Remembered
from codec.observations import Tally
from codec.permission import Permission
from tests.conftest import OPERATOR

NOTHING = b'{"payloads":[]}'


@pytest.fixture
def permission(payments) -> Permission:
    return Permission(
        epoch=1,
        principal=Principal(user_id=1, username="alice", credential="session x"),
        actor=OPERATOR,
        namespace=payments,
        allowed=Allowed(grant=None),
        encodes=False,
        readable=False,
    )


def remember(front: Front, permission: Permission) -> Remembered:
    front.learn(b"like", permission, Tally(), [])
    remembered = front.recall(b"like")
    assert remembered is not None
    return remembered


def test_body_larger_than_the_limit_is_left_to_django(permission, settings):
    settings.CODEC_MAX_BODY_BYTES = 1024
    front = Front()
    remembered = remember(front, permission)
    assert front.repeat(remembered, NOTHING.ljust(1024)) is not None
    assert front.repeat(remembered, NOTHING.ljust(1025)) is None


def test_caller_beyond_the_rate_is_left_to_django(permission, settings):
    settings.CODEC_REQUESTS_PER_MINUTE = 2
    front = Front()
    remembered = remember(front, permission)
    assert [front.repeat(remembered, NOTHING) is not None for _ in range(3)] == [True, True, False]


def test_memory_ends_with_what_it_rests_on(permission, monkeypatch):
    front, now = Front(), timezone.now()
    permission = replace(permission, allowed=Allowed(grant=None, until=now + timedelta(seconds=9)))
    remember(front, permission)
    for seconds, is_known in [(8, True), (10, False)]:
        monkeypatch.setattr(front_module.time, "time", lambda seconds=seconds: now.timestamp() + seconds)
        assert (front.recall(b"like") is not None) is is_known


def test_one_request_renews_what_is_remembered_and_others_repeat_it_meanwhile(permission, monkeypatch):
    front, now = Front(), timezone.now().timestamp()
    remember(front, permission)
    monkeypatch.setattr(front_module.time, "time", lambda: now + 21)
    assert front.recall(b"like") is None
    assert [front.recall_or_renew(b"like") is not None for _ in range(3)] == [False, True, True]
    monkeypatch.setattr(front_module.time, "time", lambda: now + 31)
    assert [front.recall_or_renew(b"like") is not None for _ in range(2)] == [False, False]
