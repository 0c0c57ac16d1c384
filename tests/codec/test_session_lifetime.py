"""How long a session lasts, what is known of it, and everything that ends it before."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from codec import sessions
from codec.models import User, UserSession
from codec.sessions import EndingRefused, end_all_sessions, end_session, open_sessions
from keys import epoch
from keys.models import AuditRecord
from tests import canary
from tests.conftest import OPERATOR, CodecClient, signed_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
IDLE = timedelta(seconds=django_settings.CODEC_SESSION_IDLE_SECONDS)


def aged(by: timedelta) -> None:
    """Let time pass for every session since it was last seen."""
    for session in UserSession.objects.all():
        UserSession.objects.filter(pk=session.pk).update(last_seen_at=session.last_seen_at - by)


def sign_in(client: CodecClient, **headers: str) -> UserSession:
    client.post("/login/", {"username": "alice", "password": canary.PASSWORD}, headers=headers)
    return UserSession.objects.latest("started_at")


def last_ended() -> AuditRecord:
    return AuditRecord.objects.filter(action="session:ended").latest("id")


# Idle -----------------------------------------------------------------------------------------------------------------


def test_idle_session_is_401(browser):
    aged(IDLE)
    answer = browser.call("/decode")
    assert (answer.status_code, answer.json()["detail"]) == (
        401,
        "Your session has ended. Sign in to the codec server again.",
    )


@pytest.mark.parametrize("page", ["/", "/tokens/", "/sessions/", "/password/"])
def test_idle_session_is_sent_to_sign_in(browser, page):
    aged(IDLE)
    assert browser.get(page)["Location"] == f"/login/?next={page}"


def test_session_used_in_time_goes_on(browser):
    for _ in range(5):
        aged(IDLE - timedelta(minutes=1))
        assert browser.call("/decode").status_code == 200


def test_pages_count_as_use(browser):
    for _ in range(3):
        aged(IDLE - timedelta(minutes=1))
        assert browser.get("/").status_code == 200


def test_refused_request_is_no_use_of_an_idle_session(browser):
    aged(IDLE)
    browser.call("/decode")
    assert browser.call("/decode").status_code == 401


def test_idle_lifetime_is_a_setting(browser, settings):
    settings.CODEC_SESSION_IDLE_SECONDS = 600
    aged(timedelta(seconds=599))
    assert browser.call("/decode").status_code == 200
    aged(timedelta(seconds=601))
    assert browser.call("/decode").status_code == 401


def test_use_does_not_prolong_the_absolute_lifetime(browser):
    UserSession.objects.update(expire_date=timezone.now() + timedelta(seconds=30))
    aged(timedelta(minutes=5))
    browser.call("/decode")
    assert UserSession.objects.get().expire_date < timezone.now() + timedelta(seconds=31)


def test_session_past_its_absolute_end_is_401_however_much_used(browser):
    browser.call("/decode")
    UserSession.objects.update(expire_date=timezone.now())
    assert browser.call("/decode").status_code == 401


# Last seen ------------------------------------------------------------------------------------------------------------


def test_last_seen_is_written_once_a_minute(browser):
    before = UserSession.objects.get().last_seen_at
    browser.call("/decode")
    assert UserSession.objects.get().last_seen_at == before
    aged(timedelta(seconds=61))
    browser.call("/decode")
    assert UserSession.objects.get().last_seen_at >= before


def test_last_seen_does_not_move_the_epoch(browser):
    aged(timedelta(minutes=5))
    before = epoch.read()
    browser.call("/decode")
    assert timezone.now() - UserSession.objects.get().last_seen_at < timedelta(minutes=1)
    assert epoch.read() == before


def test_session_that_ends_moves_the_epoch(browser):
    before = epoch.read()
    UserSession.objects.all().delete()
    assert epoch.read() > before


def test_shortened_session_moves_the_epoch(browser):
    before = epoch.read()
    UserSession.objects.update(expire_date=timezone.now())
    assert epoch.read() > before


# What is known --------------------------------------------------------------------------------------------------------


def test_sign_in_notes_when_where_and_with_what(alice):
    session = sign_in(CodecClient(REMOTE_ADDR="192.0.2.7"), User_Agent=FIREFOX)
    assert (session.user_id, session.address, session.browser) == (alice.pk, "192.0.2.7", "Firefox on Linux")
    assert session.user_agent == FIREFOX[:64]
    assert timezone.now() - session.started_at < timedelta(minutes=1)


def test_hostile_browser_name_is_escaped_and_cut(alice):
    session = sign_in(CodecClient(), User_Agent="\x1b[31m" + "ü" * 100)
    assert session.user_agent.isascii()
    assert session.user_agent.isprintable()
    assert len(session.user_agent) == 64


def test_saving_the_session_keeps_what_is_known(alice):
    client = CodecClient()
    known = sign_in(client, User_Agent=FIREFOX)
    data = client.session
    data["anything"] = 1
    data.save()
    session = UserSession.objects.get(pk=known.pk)
    assert (session.started_at, session.browser, session.address) == (known.started_at, known.browser, known.address)


def test_session_of_nobody_has_no_start(db):
    client = CodecClient()
    data = client.session
    data["anything"] = 1
    data.save()
    assert UserSession.objects.get().started_at is None


# Ending ---------------------------------------------------------------------------------------------------------------


def test_ended_session_is_401_and_the_others_go_on(browser, alice):
    other = signed_in(alice)
    end_session(alice, UserSession.objects.earliest("started_at").label, actor=OPERATOR)
    assert [client.call("/decode").status_code for client in (browser, other)] == [401, 200]


def test_session_of_somebody_else_is_not_ended(browser, mallory):
    with pytest.raises(EndingRefused):
        end_session(mallory, UserSession.objects.get().label, actor=OPERATOR)
    assert browser.call("/decode").status_code == 200


def test_session_is_ended_once(browser, alice):
    label = UserSession.objects.get().label
    end_session(alice, label, actor=OPERATOR)
    with pytest.raises(EndingRefused, match="already"):
        end_session(alice, label, actor=OPERATOR)


def test_ending_is_recorded(browser, alice):
    label = UserSession.objects.get().label
    end_session(alice, label, actor=OPERATOR)
    assert last_ended().details == {"user": "alice", "user_id": alice.pk, "session": label}


def test_all_sessions_end_in_one_statement(browser, alice, mallorys_browser, django_assert_max_num_queries):
    other = signed_in(alice)
    with django_assert_max_num_queries(20) as queries:
        assert end_all_sessions(alice, actor=OPERATOR, reason="lost laptop") == 2
    deletions = [query["sql"] for query in queries.captured_queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 1
    assert [client.call("/decode").status_code for client in (browser, other, mallorys_browser)] == [401, 401, 403]


def test_ending_all_is_recorded_with_their_number_and_the_reason(browser, alice):
    end_all_sessions(alice, actor=OPERATOR, reason=" lost laptop ")
    assert last_ended().details == {"user": "alice", "user_id": alice.pk, "sessions": 1, "reason": "lost laptop"}


@pytest.mark.parametrize("reason", ["", " ", "x" * 201])
def test_ending_all_takes_a_reason(browser, alice, reason):
    with pytest.raises(EndingRefused):
        end_all_sessions(alice, actor=OPERATOR, reason=reason)
    assert browser.call("/decode").status_code == 200


def test_ending_that_cannot_be_recorded_does_not_happen(browser, alice, monkeypatch):
    def fail(*args: object, **facts: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(sessions.audit, "record", fail)
    with pytest.raises(RuntimeError):
        end_all_sessions(alice, actor=OPERATOR, reason="test")
    assert UserSession.objects.exists()


def test_open_sessions_are_neither_idle_nor_expired(browser, alice):
    for _ in range(2):
        signed_in(alice)
    idle, expired, fresh = UserSession.objects.order_by("started_at")
    UserSession.objects.filter(pk=idle.pk).update(last_seen_at=timezone.now() - IDLE)
    UserSession.objects.filter(pk=expired.pk).update(expire_date=timezone.now())
    assert list(open_sessions(alice)) == [fresh]


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "!"}], ids=["disabled", "new password"])
def test_session_of_a_changed_user_is_401_at_the_next_request(browser, change):
    assert browser.call("/decode").status_code == 200
    User.objects.update(**change)
    assert browser.call("/decode").status_code == 401
