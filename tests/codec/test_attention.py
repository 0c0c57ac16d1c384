"""What the admin's start page asks an administrator to look at."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from django.utils.formats import date_format

from codec import access_requests
from codec.attention import Item, attention
from codec.grants import give_grant, grants_in_force, revoke_grant
from codec.models import Grant, User
from keys.models import AuditRecord, KeyVersion, Namespace
from keys.review import viewings
from keys.review.models import Viewing
from tests.codec_lines import request, write
from tests.conftest import OPERATOR


@pytest.fixture
def items(bob):
    """Return a function that gives what bob, who may look into everything, is asked to look at."""
    return lambda: attention(bob)


@pytest.fixture
def find(items):
    """Return a function that gives the one item whose sentence contains a part."""

    def found(part: str) -> Item:
        (item,) = [item for item in items() if part in item.text]
        return item

    return found


def make_primary_older(**age: int) -> None:
    KeyVersion.objects.update(created_at=timezone.now() - timedelta(**age))


def test_calm_installation_asks_for_nothing(granted, items):
    assert items() == []


def test_empty_installation_asks_for_nothing(db, items):
    assert items() == []


@pytest.mark.parametrize("kek", ["nonsense:", "local:/nowhere/kek"])
def test_broken_kek_is_urgent(granted, settings, kek, find):
    settings.CODEC_KEK = kek
    item = find("The key encryption key does not work")
    assert (item.urgent, item.url) == (True, "")


def test_namespace_without_a_primary_is_urgent(granted, payments, find):
    KeyVersion.objects.update(is_primary=False)
    item = find("payments has no primary key")
    assert (item.urgent, item.url) == (True, f"/admin/keys/namespace/{payments.pk}/change/")


def test_old_primary_is_to_be_rotated(granted, payments, find):
    make_primary_older(days=91)
    item = find("The primary key of payments is older than 90 days. Rotate it.")
    assert (item.urgent, item.url) == (False, f"/admin/keys/namespace/{payments.pk}/change/")


def test_primary_of_90_days_is_not_old(granted, items):
    make_primary_older(days=89, hours=23)
    assert items() == []


def test_old_primary_on_a_schedule_is_left_to_it(granted, items):
    make_primary_older(days=91)
    Namespace.objects.update(rotation_period_days=365, next_rotation_at=timezone.now() + timedelta(days=1))
    assert items() == []


def test_overdue_rotation_is_urgent(granted, find):
    due = timezone.now() - timedelta(days=2)
    Namespace.objects.update(rotation_period_days=30, next_rotation_at=due)
    assert find(f"The rotation of payments is overdue since {date_format(due, 'j F Y')}.").urgent


def test_key_that_nears_its_limit_is_urgent(granted, find):
    make_primary_older(days=30)
    Namespace.objects.update(expected_encryptions_per_day=100_000_000)
    assert find("The primary key of payments nears the limit of 2^32 encryptions.").urgent


def test_namespace_without_a_grant_asks_for_the_first(payments, find):
    assert find("Nobody may decode in payments yet.").url == "/admin/codec/grant/add/"


def test_grant_to_encode_alone_lets_nobody_decode(alice, payments, find):
    give_grant(alice, payments, decode=False, encode=True, actor=OPERATOR, reason="test")
    assert find("Nobody may decode in payments yet.")


def test_revoked_grant_lets_nobody_decode(alice, granted, find):
    revoke_grant(grants_in_force(alice).get(), actor=OPERATOR, reason="test")
    assert find("Nobody may decode in payments yet.")


def test_grants_of_disabled_people_are_counted(granted, find):
    User.objects.update(is_active=False)
    assert find("1 grant to disabled users.").url == "/admin/codec/grant/"


def test_grant_that_is_over_lets_nobody_decode(granted, find):
    long_ago = timezone.now() - timedelta(days=2)
    Grant.objects.update(starts_at=long_ago, ends_at=long_ago + timedelta(days=1))
    assert find("Nobody may decode in payments yet.")


@pytest.mark.parametrize(("days", "counted"), [(2, True), (6, True), (8, False)])
def test_grants_that_end_soon_are_counted(granted, items, days, counted):
    Grant.objects.update(ends_at=timezone.now() + timedelta(days=days))
    found = [item for item in items() if item.text == "1 grant ending within 7 days."]
    assert [item.url for item in found] == (["/admin/codec/grant/?state=soon"] if counted else [])


@pytest.mark.parametrize(("name", "counted"), [("payments", True), ("nowhere", False)])
def test_requests_that_wait_are_counted(granted, mallory, items, name, counted):
    access_requests.ask(mallory, name, hours=1, reason="test", actor=OPERATOR)
    assert ("1 access request waiting for an answer." in [item.text for item in items()]) is counted


def test_denied_requests_of_the_last_day_are_counted(granted, mallorys_browser, find):
    mallorys_browser.call("/decode")
    mallorys_browser.call("/encode")
    item = find("2 codec requests denied in the last 24 hours.")
    assert item.url == "/admin/keys/auditrecord/?outcome__exact=denied&q=payload"


def test_allowed_requests_are_not_counted(browser, items):
    browser.call("/decode")
    assert items() == []


def test_failed_sign_ins_are_no_denied_requests(granted, client, items):
    client.post("/login/", {"username": "alice", "password": "wrong"})
    assert items() == []


def test_denied_requests_of_the_day_before_are_past(granted, mallorys_browser, monkeypatch, items):
    mallorys_browser.call("/decode")
    tomorrow = timezone.now() + timedelta(hours=25)
    monkeypatch.setattr("codec.attention.timezone.now", lambda: tomorrow)
    assert AuditRecord.objects.filter(outcome="denied").exists()
    assert not any("denied" in item.text for item in items())


def test_retired_namespace_asks_for_nothing(payments, items):
    KeyVersion.objects.update(is_primary=False)
    Namespace.objects.update(retired_at=timezone.now())
    assert items() == []


@pytest.mark.parametrize(
    ("permission", "parts"),
    [
        ("view_namespace", ["The key encryption key does not work", "payments has no primary key"]),
        ("view_grant", ["Nobody may decode in payments"]),
        ("view_auditrecord", ["1 codec request denied"]),
        ("view_user", []),
    ],
)
def test_staff_see_only_what_they_may_look_into(alice, mallorys_browser, settings, permission, parts):
    mallorys_browser.call("/decode")
    KeyVersion.objects.update(is_primary=False)
    settings.CODEC_KEK = "nonsense:"
    alice.user_permissions.add(Permission.objects.get(codename=permission))
    seen = attention(User.objects.get(username="alice"))
    assert all(item.text.startswith(part) for item, part in zip(seen, parts, strict=True))


def test_urgent_items_stand_first(payments, settings, items):
    make_primary_older(days=91)
    settings.CODEC_KEK = "nonsense:"
    assert [item.urgent for item in items()] == [True, False, False]


def test_viewing_that_nobody_reviews_for_a_day_is_named(db, find):
    write([request(at=timezone.now() - timedelta(hours=25)), request("dave", at=timezone.now())])
    viewings.refresh()
    assert find("1 viewing waiting for review").url == "/admin/keys/viewing/"


def test_viewing_of_today_does_not_hurry(db, items):
    write([request(at=timezone.now() - timedelta(hours=2))])
    viewings.refresh()
    assert items() == []


def test_open_follow_up_is_named(db, find):
    write([request(at=timezone.now() - timedelta(hours=2))])
    viewings.refresh()
    Viewing.objects.update(status=Viewing.Status.FOLLOW_UP)
    assert find("1 viewing to follow up").url == "/admin/keys/viewing/?status=follow_up"
