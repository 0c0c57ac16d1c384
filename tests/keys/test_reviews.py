"""Who may say what of a viewing, and that it stays said."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from keys.actor import operator
from keys.models import AuditRecord
from keys.review import reviews, viewings
from keys.review.models import Review, Viewing
from keys.review.reviews import ReviewRefused, Status, Verdict
from tests.codec_lines import IDS, LONG_AGO, actor, minutes, request, write

BOB = actor("bob", credential="session of bob")

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewing() -> Viewing:
    """alice has read payments, two days ago."""
    return seen(*minutes(0, 1, 12, payloads=40))


def seen(*lines, chain: str = "codec-1") -> Viewing:
    write(lines, chain=chain)
    viewings.refresh()
    return Viewing.objects.latest("pk")


def say(viewing: Viewing, verdict: Verdict = Verdict.REVIEWED, *, note: str = "", by=BOB) -> None:
    reviews.review([viewing.pk], verdict, note=note, actor=by)
    viewing.refresh_from_db()


def records():
    return AuditRecord.objects.filter(action__startswith="viewing:").order_by("sequence")


def test_reviewed_viewing_waits_no_longer(viewing):
    say(viewing, note="as agreed in OPS-12")
    assert viewing.status == Status.REVIEWED
    assert (viewing.review.reviewer_name, viewing.review.note) == ("bob", "as agreed in OPS-12")


def test_review_is_an_audit_record(viewing):
    say(viewing, note="as agreed in OPS-12")
    record = records().get()
    assert (record.chain_id, record.action, record.actor_name) == ("management", "viewing:reviewed", "bob")
    assert record.namespace == "payments"
    assert record.details == {
        "viewing": str(viewing.first_event_id),
        "of": "alice",
        "of_id": IDS["alice"],
        "from": LONG_AGO.isoformat(),
        "until": (LONG_AGO + timedelta(minutes=12)).isoformat(),
        "requests": 3,
        "payloads": 120,
        "note": "as agreed in OPS-12",
    }


def test_row_points_to_its_record(viewing):
    say(viewing)
    assert viewing.review.event_id == records().get().event_id


def test_follow_up_stays_open_until_it_is_reviewed(viewing):
    say(viewing, Verdict.FOLLOW_UP, note="ask alice why")
    assert viewing.status == Status.FOLLOW_UP
    say(viewing, note="she had a ticket")
    assert viewing.status == Status.REVIEWED
    assert [record.action for record in records()] == ["viewing:flagged", "viewing:reviewed"]


def test_what_was_reviewed_can_be_taken_up_again(viewing):
    say(viewing)
    say(viewing, Verdict.FOLLOW_UP, note="new facts")
    assert viewing.status == Status.FOLLOW_UP


def test_time_of_the_first_review_is_kept(viewing):
    say(viewing, Verdict.FOLLOW_UP, note="ask alice why")
    first = viewing.reviewed_at
    say(viewing)
    assert viewing.reviewed_at == first < viewing.review.at


def test_several_at_once(viewing):
    other = seen(*minutes(90))
    assert reviews.review([viewing.pk, other.pk], Verdict.REVIEWED, note="routine", actor=BOB) == 2
    assert {row.status for row in Viewing.objects.all()} == {Status.REVIEWED}
    assert records().count() == 2


# Refused --------------------------------------------------------------------------------------------------------------


def refused(viewing: Viewing, part: str, verdict: Verdict = Verdict.REVIEWED, **given) -> None:
    with pytest.raises(ReviewRefused, match=part):
        say(viewing, verdict, **given)
    viewing.refresh_from_db()
    assert viewing.status == Status.OPEN
    assert not records().exists()


@pytest.mark.parametrize("verdict", Verdict)
def test_nobody_reviews_their_own_viewing(viewing, verdict):
    refused(viewing, "their own", verdict, note="all fine", by=actor("alice"))


def test_other_session_of_the_same_person_is_no_way_around(viewing):
    refused(viewing, "their own", by=actor("alice", credential="token 5e6f", address="10.9.9.9"))


def test_own_viewing_among_others_refuses_all(viewing):
    own = seen(*minutes(90, who="bob"))
    with pytest.raises(ReviewRefused, match="their own"):
        reviews.review([viewing.pk, own.pk], Verdict.REVIEWED, note="", actor=BOB)
    assert {row.status for row in Viewing.objects.all()} == {Status.OPEN}


def test_viewing_of_a_stand_in_counts_as_own(viewing, monkeypatch):
    monkeypatch.setattr(reviews, "stand_ins", [lambda actor_id: {IDS["alice"]} if actor_id == BOB.id else set()])
    refused(viewing, "their own")


def test_operator_at_the_command_line_has_no_id_and_reviews_nothing(viewing):
    refused(viewing, "Sign in", by=operator())


def test_viewing_that_goes_on_cannot_be_reviewed():
    refused(seen(request(at=timezone.now() - timedelta(minutes=29))), "still going on")


def test_viewing_that_has_just_paused_can():
    viewing = seen(request(at=timezone.now() - timedelta(minutes=30)))
    say(viewing)
    assert viewing.status == Status.REVIEWED


def test_follow_up_says_what(viewing):
    refused(viewing, "followed up", Verdict.FOLLOW_UP, note="  ")


def test_note_has_a_length(viewing):
    refused(viewing, "500 characters", note="x" * 501)


def test_nothing_chosen_is_refused():
    with pytest.raises(ReviewRefused, match="at least one"):
        reviews.review([], Verdict.REVIEWED, note="", actor=BOB)


def test_viewing_that_is_gone_refuses_all(viewing):
    with pytest.raises(ReviewRefused, match="not there"):
        reviews.review([viewing.pk, 999], Verdict.REVIEWED, note="", actor=BOB)


def test_second_auditor_learns_that_it_is_done(viewing):
    say(viewing)
    with pytest.raises(ReviewRefused, match="meantime"):
        say(viewing, by=actor("carol"))
    assert records().count() == 1


def test_review_that_cannot_be_recorded_is_none(transactional_db, viewing, audit_unwritable):
    with pytest.raises(DatabaseError):
        say(viewing)
    viewing.refresh_from_db()
    assert viewing.status == Status.OPEN
    assert not Review.objects.exists()


# Kept -----------------------------------------------------------------------------------------------------------------


def test_review_is_never_changed_or_deleted(viewing):
    say(viewing)
    with pytest.raises(TypeError):
        records().get().delete()
    with pytest.raises(TypeError):
        records().update(actor_name="mallory")


def test_rebuild_brings_reviews_back(viewing):
    say(viewing, Verdict.FOLLOW_UP, note="ask alice why")
    say(viewing, note="she had a ticket")
    before = [(review.event_id, review.note, review.at) for review in Review.objects.order_by("pk")]
    viewings.rebuild()
    assert [(review.event_id, review.note, review.at) for review in Review.objects.order_by("pk")] == before
    again = Viewing.objects.get()
    assert (again.status, again.review.note, again.reviewed_at) == (
        Status.REVIEWED,
        "she had a ticket",
        viewing.reviewed_at,
    )


def test_rebuild_undoes_a_review_that_nobody_recorded(viewing):
    Viewing.objects.update(status=Status.REVIEWED)
    viewings.rebuild()
    assert Viewing.objects.get().status == Status.OPEN


def test_reviewed_viewing_that_grows_waits_again(viewing):
    say(viewing)
    seen(*minutes(13), chain="codec-2")
    viewing.refresh_from_db()
    assert (viewing.status, viewing.review, viewing.reviewed_at) == (Status.OPEN, None, None)


def test_refresh_copies_no_review_twice(viewing):
    say(viewing)
    viewings.refresh()
    viewings.refresh()
    assert Review.objects.count() == 1
