"""What is marked on a viewing, and why."""

from datetime import timedelta

import pytest

from keys.review import marks, viewings
from keys.review.models import Viewing, ViewingMark
from tests.codec_lines import LONG_AGO, minutes, request, write

pytestmark = pytest.mark.django_db

KNOWN = [timedelta(days=-day) for day in range(6, 0, -1)]  # six viewings before the one that is looked at


def before(*, payloads: int = 20, **given) -> list:
    return [request(at=LONG_AGO + ago, payloads=payloads, **given) for ago in KNOWN]


def marked(*lines, chain: str = "codec-1") -> dict[str, str]:
    """Write the lines and return the marks of the last viewing."""
    write(lines, chain=chain)
    viewings.refresh()
    last = Viewing.objects.order_by("started_at", "pk").last()
    return {mark.kind: mark.reason for mark in last.marks.all()}


def test_ordinary_viewing_has_no_mark():
    assert marked(*before(), *minutes(0, 1, payloads=20)) == {}


# First time -----------------------------------------------------------------------------------------------------------


def test_first_payloads_of_a_namespace_are_marked():
    assert list(marked(*before(namespace="payroll"), *minutes(0))) == ["first_time"]


def test_second_time_is_not():
    assert marked(*minutes(0), *minutes(90)) == {}


def test_first_time_of_one_person_is_not_spoiled_by_another():
    assert "first_time" in marked(*before(who="bob"), *minutes(0))


def test_denied_attempts_before_do_not_make_it_the_second_time():
    assert "first_time" in marked(*before(outcome="denied", reason="no_grant"), *minutes(0))


def test_only_denied_is_not_a_first_time():
    assert "first_time" not in marked(*minutes(0, outcome="denied", reason="no_grant"))


def test_other_credential_is_not_a_first_time():
    assert marked(*before(), *minutes(0, credential="token 5e6f")) == {}


# Volume ---------------------------------------------------------------------------------------------------------------


def test_five_times_the_usual_volume_is_marked():
    reason = marked(*before(payloads=20), *minutes(0, payloads=100))["unusual_volume"]
    assert reason == "100 payloads. The median of this person's last 6 viewings is 20."


def test_a_little_less_is_not():
    assert marked(*before(payloads=20), *minutes(0, payloads=99)) == {}


def test_few_payloads_are_never_far_above():
    assert marked(*before(payloads=1), *minutes(0, payloads=99)) == {}


def test_without_enough_viewings_nothing_is_usual():
    assert "unusual_volume" not in marked(*before()[2:], *minutes(0, payloads=5000))


def test_one_great_viewing_does_not_make_great_ones_usual():
    assert "unusual_volume" in marked(
        *before(payloads=20)[1:], *minutes(-120, payloads=9000), *minutes(0, payloads=500)
    )


def test_usual_looks_at_the_last_twenty_viewings():
    old = [request(at=LONG_AGO - timedelta(days=60 + day), payloads=5000) for day in range(30)]
    new = [request(at=LONG_AGO - timedelta(days=20 - day), payloads=20) for day in range(20)]
    assert "unusual_volume" in marked(*old, *new, *minutes(0, payloads=400))


def test_usual_counts_every_namespace():
    assert "unusual_volume" not in marked(*before(namespace="payroll", payloads=900), *minutes(0, payloads=500))


# The others -----------------------------------------------------------------------------------------------------------


def test_denied_requests_are_marked_with_their_reason_codes():
    denied = minutes(0, 1, outcome="denied", reason="no_grant")
    assert marked(*denied, *minutes(2, outcome="denied", reason="grant_expired")) == {
        "denied": "3 requests were denied. Reason codes: grant_expired (1), no_grant (2)."
    }


def test_break_glass_is_marked():
    assert marked(*before(), *minutes(0, reason="break_glass")) == {
        "break_glass": "1 request was allowed by access taken in an emergency."
    }


def test_key_version_that_was_not_enabled_is_marked():
    asked = minutes(0, 1, outcome="failed", reason="undecodable", details={"not_enabled": ["1-abc"]})
    assert marked(*asked) == {"key_not_enabled": "Asked for payloads of key versions that were not ENABLED: 1-abc (2)."}


def test_long_reason_is_cut():
    many = [f"key-{number}" for number in range(200)]
    (reason,) = marked(*minutes(0, outcome="failed", reason="undecodable", details={"not_enabled": many})).values()
    assert len(reason) == 300


# Later ----------------------------------------------------------------------------------------------------------------


def test_growing_viewing_is_judged_again():
    marked(*before(), *minutes(0))
    assert list(marked(*minutes(1, outcome="denied", reason="no_grant"))) == ["denied"]


def test_viewing_that_turns_up_late_takes_the_first_time_from_the_later_one():
    assert "first_time" in marked(*minutes(0))
    assert marked(*before()[:1], chain="codec-2") == {}
    assert "first_time" in [mark.kind for mark in Viewing.objects.earliest("started_at").marks.all()]


def test_small_portions_judge_as_one_great_one(monkeypatch):
    lines = [*before(), *minutes(0, 60, 120, payloads=300), *minutes(200, namespace="payroll")]
    write(lines)
    viewings.refresh()
    at_once = kinds()
    monkeypatch.setattr(marks, "_BATCH", 2)
    viewings.rebuild()
    assert kinds() == at_once


def kinds() -> set[tuple[str, str]]:
    return {(str(mark.viewing.first_event_id), mark.reason) for mark in ViewingMark.objects.select_related("viewing")}
