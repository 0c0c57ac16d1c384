"""Which codec requests make one viewing."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.review.grouping import Request, Tally, group
from tests.codec_lines import LONG_AGO, minutes, request

HOUR = 60
DAY = 24 * HOUR


def requests(lines):
    return [Request(*(getattr(line, name) for name in Request._fields)) for line in lines]


def spans(tallies: list[Tally]) -> list[tuple[float, float]]:
    """Return from which to which minute each viewing goes."""
    ordered = sorted(tallies, key=lambda tally: tally.started_at)
    return [tuple((at - LONG_AGO) / timedelta(minutes=1) for at in (t.started_at, t.ended_at)) for t in ordered]


def grouped(*lines) -> list[Tally]:
    return group(requests(lines))


def test_requests_close_together_are_one_viewing():
    assert spans(grouped(*minutes(0, 1, 12))) == [(0, 12)]


def test_just_under_thirty_minutes_is_no_pause():
    assert spans(grouped(*minutes(0, 29.999))) == [(0, 29.999)]


def test_exactly_thirty_minutes_is_a_pause():
    assert spans(grouped(*minutes(0, 30))) == [(0, 0), (30, 30)]


def test_many_short_waits_are_no_pause():
    assert spans(grouped(*minutes(*range(0, 300, 29)))) == [(0, 290)]


def test_midnight_is_nothing_special():
    before_midnight = 15 * HOUR - 5  # LONG_AGO is nine o'clock
    (tally,) = grouped(*minutes(before_midnight, before_midnight + 10))
    assert tally.started_at.date() < tally.ended_at.date()


@pytest.mark.parametrize("other", [{"who": "bob"}, {"namespace": "payroll"}, {"credential": "token 5e6f"}])
def test_other_person_namespace_or_credential_is_another_viewing(other):
    assert spans(grouped(*minutes(0, 2), *minutes(1, 3, **other))) == [(0, 2), (1, 3)]


def test_other_address_is_the_same_viewing():
    (tally,) = grouped(*minutes(0, 1), *minutes(2, address="10.9.9.9"))
    assert tally.addresses == {"10.2.3.4": 2, "10.9.9.9": 1}


def test_people_at_the_command_line_are_told_apart_by_name():
    root, ada = (request(), request())
    for line, name in ((root, "root"), (ada, "ada")):
        line.actor_kind, line.actor_id, line.actor_name = "command", "", name
    assert {tally.trail.actor_id for tally in grouped(root, ada)} == {"command root", "command ada"}


def test_payloads_keys_and_bytes_of_allowed_requests_are_summed_up():
    (tally,) = grouped(*minutes(0, payloads=40, key="1-abc"), *minutes(1, payloads=3, key="2-def"))
    assert (tally.read, tally.bytes, tally.keys) == (43, 4300, {"1-abc": 40, "2-def": 3})


def test_encoded_payloads_count_as_written():
    (tally,) = grouped(*minutes(0, payloads=2), *minutes(1, payloads=5, action="payload:encoded"))
    assert (tally.read, tally.written) == (2, 5)


def test_denied_and_failed_requests_are_counted_by_reason():
    denied = minutes(0, 1, outcome="denied", reason="no_grant")
    (tally,) = grouped(*denied, *minutes(2, outcome="failed", reason="undecodable"))
    assert (tally.requests, tally.denied, tally.failed) == (3, 2, 1)
    assert tally.reasons == {"no_grant": 2, "undecodable": 1}


def test_failed_request_gives_no_payloads_even_if_it_opened_some():
    (tally,) = grouped(*minutes(0, outcome="failed", reason="undecodable", details={"payloads": 9, "keys": {"1": 8}}))
    assert (tally.read, tally.keys) == (0, {})


def test_requests_by_break_glass_are_counted():
    (tally,) = grouped(*minutes(0, 1), *minutes(2, reason="break_glass"))
    assert tally.break_glass == 1


def test_last_name_of_a_renamed_person_is_kept():
    first, second = minutes(0, 1)
    second.actor_name = "alice.married"
    (tally,) = grouped(second, first)
    assert tally.actor_name == "alice.married"


def test_first_record_names_the_viewing():
    first, second = minutes(0, 1)
    (tally,) = grouped(second, first)
    assert tally.first_event_id == first.event_id


def test_without_a_pause_it_is_cut_after_a_day():
    assert spans(grouped(*minutes(*range(0, 2 * DAY, 20)))) == [(0, DAY - 20), (DAY, 2 * DAY - 20)]


def test_late_request_between_two_viewings_joins_them():
    stored = grouped(*minutes(0, 40))
    assert spans(group(requests(minutes(20)), stored)) == [(0, 40)]


def test_stored_viewing_that_gains_nothing_is_left_out():
    stored = grouped(*minutes(0))
    stored[0].has_changed = False
    assert spans(group(requests(minutes(90)), stored)) == [(90, 90)]


moments = st.lists(st.tuples(st.integers(0, 12 * HOUR), st.sampled_from(["alice", "bob"])), min_size=1, max_size=40)


@given(moments, st.randoms(use_true_random=False), st.integers(1, 7))
def test_order_and_portions_in_which_requests_arrive_do_not_matter(moments, chance: random.Random, portion):
    lines = [line for minute, who in moments for line in minutes(minute, who=who)]
    expected = grouped(*lines)
    chance.shuffle(lines)
    tallies: list[Tally] = []
    for start in range(0, len(lines), portion):
        changed = group(requests(lines[start : start + portion]), tallies)
        tallies = [tally for tally in tallies if tally.trail not in {t.trail for t in changed}]
        tallies += changed
    assert sorted(map(facts, tallies)) == sorted(map(facts, expected))


def facts(tally: Tally):
    return tally.actor_name, tally.started_at, tally.ended_at, tally.requests, str(tally.first_event_id)
