"""The table of viewings follows the audit: everything once, in whatever order it was committed; and from scratch."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keys.models import AuditChain
from keys.review import positions, viewings
from keys.review.models import Viewing, ViewingCursor
from tests.codec_lines import LONG_AGO, actor, minutes, request, write
from tests.commands import manage

pytestmark = pytest.mark.django_db


def seen(*lines, chain: str = "codec-1") -> list[Viewing]:
    """Write the lines, and return all viewings there are then, oldest first."""
    write(lines, chain=chain)
    viewings.refresh()
    return list(Viewing.objects.order_by("started_at", "first_event_id"))


def everything() -> list[dict]:
    rows = [{name: value for name, value in row.items() if name != "id"} for row in Viewing.objects.values()]
    return sorted(rows, key=lambda row: str(row["first_event_id"]))


def test_viewing_says_what_the_records_say():
    (viewing,) = seen(*minutes(0, 1, 12, payloads=40), *minutes(2, payloads=23, key="2-def", address="10.9.9.9"))
    assert (viewing.actor_name, viewing.namespace, viewing.credential) == (
        "alice",
        "payments",
        "session 1f3a5c7d9b2e",
    )
    assert (viewing.read, viewing.requests, viewing.bytes) == (143, 4, 14300)
    assert viewing.keys == {"1-abc": 120, "2-def": 23}
    assert viewing.addresses == {"10.2.3.4": 3, "10.9.9.9": 1}
    assert viewing.ended_at - viewing.started_at == timedelta(minutes=12)


def test_later_records_continue_the_viewing():
    seen(*minutes(0, 10))
    (viewing,) = seen(*minutes(20, 30))
    assert (viewing.requests, viewing.ended_at) == (4, LONG_AGO + timedelta(minutes=30))


def test_records_are_counted_once():
    seen(*minutes(0, 10))
    viewings.refresh()
    assert Viewing.objects.get().requests == 2


def test_record_of_this_moment_is_counted():
    """A chain has one writer, so there is no lower sequence to wait for."""
    assert len(seen(request(at=timezone.now()))) == 1


def test_two_processes_serving_one_person_are_one_viewing():
    seen(*minutes(0, 10), chain="codec-1")
    assert [viewing.requests for viewing in seen(*minutes(5, 15), chain="codec-2")] == [4]


def test_record_that_is_committed_late_joins_two_viewings():
    assert len(seen(*minutes(0, 40))) == 2
    (viewing,) = seen(*minutes(20), chain="codec-2")
    assert (viewing.requests, viewing.ended_at) == (3, LONG_AGO + timedelta(minutes=40))


def test_record_that_is_committed_late_begins_the_viewing():
    seen(*minutes(10))
    early = minutes(0)
    (viewing,) = seen(*early, chain="codec-2")
    assert (viewing.started_at, viewing.first_event_id) == (LONG_AGO, early[0].event_id)


def test_chain_with_a_lower_row_id_that_commits_last_is_not_missed():
    write(minutes(0), chain="codec-2")
    (first,) = seen(*minutes(1), chain="codec-1")
    write(minutes(2), chain="codec-2")
    viewings.refresh()
    first.refresh_from_db()
    assert first.requests == 3


def test_other_records_are_no_viewings(payments):
    viewings.refresh()
    assert AuditChain.objects.get(pk="management").sequence > 0
    assert not Viewing.objects.exists()


def test_more_records_than_fit_in_a_batch(monkeypatch):
    monkeypatch.setattr(positions, "BATCH", 3)
    (viewing,) = seen(*minutes(*range(20)))
    assert viewing.requests == 20


def test_batches_make_the_same_viewings(monkeypatch):
    lines = [line for who in ("alice", "bob") for line in minutes(*range(0, 1000, 13), payloads=7, who=who)]
    seen(*lines)
    at_once = everything()
    monkeypatch.setattr(positions, "BATCH", 4)
    viewings.rebuild()
    assert everything() == at_once


def test_rebuild_makes_what_was_there(payments):
    seen(*minutes(0, 10, 50), *minutes(20, who="bob", outcome="denied", reason="no_grant"))
    seen(*minutes(5, 35), chain="codec-2")
    before = everything()
    viewings.rebuild()
    assert everything() == before


def test_rebuild_forgets_what_the_audit_does_not_say():
    seen(*minutes(0))
    Viewing.objects.update(read=1_000_000, actor_name="mallory")
    manage("rebuild_viewings")
    assert (Viewing.objects.get().read, Viewing.objects.get().actor_name) == (1, "alice")


def test_command_says_how_many_there_are():
    write([*minutes(0, 90), *minutes(0, who="bob")])
    assert manage("rebuild_viewings") == "3 viewings.\n"


def test_cursor_stands_at_the_end_of_every_chain():
    seen(*minutes(0, 1), chain="codec-1")
    seen(*minutes(0), chain="codec-2")
    read = dict(ViewingCursor.objects.values_list("chain", "sequence"))
    assert read == dict(AuditChain.objects.values_list("name", "sequence"))


def test_part_that_retention_has_dropped_is_not_waited_for():
    write(minutes(0, 1, 2))
    ViewingCursor.objects.create(chain="codec-1", sequence=0)
    chain = AuditChain.objects.get(pk="codec-1")
    AuditChain.objects.filter(pk=chain.pk).update(floor_sequence=2)
    viewings.refresh()
    assert not positions.unread()


def test_hostile_text_is_kept_as_it_is():
    mean = "<script>alert(1)</script>"
    line = request(mean, mean)
    line.actor_id = actor("alice").id
    (viewing,) = seen(line)
    assert (viewing.actor_name, viewing.namespace) == (mean, mean)
