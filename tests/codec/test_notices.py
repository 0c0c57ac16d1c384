"""Who is told what, by e-mail and by the webhook; and that a failure to tell slows and undoes nothing."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.contrib.auth.models import Group
from django.core import mail

from codec import access_requests, break_glass, notices
from codec.models import AccessRequest, NamespacePolicy, User
from keys.actor import Actor, ActorKind
from tests.conftest import OPERATOR

WHY = "on call for payments"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Notices are sent in this thread, so that the test sees what becomes of them."""
    monkeypatch.setattr(notices.connections, "close_all", lambda: None)
    monkeypatch.setattr(notices, "_start", notices._run)


@pytest.fixture
def policy(alice, payments) -> NamespacePolicy:
    """alice and carol approve payments; alice and mallory may break its glass."""
    group = Group.objects.create(name="payments-approvers")
    carol = User.objects.create_user("carol", "carol@example.com")
    for person in (alice, carol):
        person.groups.add(group)
    return NamespacePolicy.objects.create(namespace=payments, approvers=group, break_glass_group=group)


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Return a function that does something and then commits it."""

    def commit(act, *args, **kwargs):
        with django_capture_on_commit_callbacks(execute=True):
            return act(*args, **kwargs)

    return commit


def actor_of(user: User) -> Actor:
    return Actor(kind=ActorKind.USER, id=str(user.pk), name=user.username)


@pytest.fixture
def asked(mallory, policy, committed) -> AccessRequest:
    """mallory has asked, and the letters about it are gone."""
    return committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))


def letters() -> dict[str, mail.EmailMessage]:
    return {letter.to[0]: letter for letter in mail.outbox}


# E-mail ---------------------------------------------------------------------------------------------------------------


def test_each_approver_gets_a_letter_of_their_own(asked):
    assert letters().keys() == {"alice@example.com", "carol@example.com"}
    letter = letters()["alice@example.com"]
    assert letter.subject == "mallory asks for access to payments"
    assert WHY in letter.body
    assert f"http://localhost:8888/access/requests/{asked.pk}/" in letter.body


def test_who_asks_gets_no_letter_though_an_approver(alice, policy, committed):
    committed(access_requests.ask, alice, "payments", hours=4, reason=WHY, actor=actor_of(alice))
    assert letters().keys() == {"carol@example.com"}


def test_nobody_gets_a_letter_about_a_namespace_that_does_not_exist(mallory, policy, committed):
    committed(access_requests.ask, mallory, "nowhere", hours=4, reason=WHY, actor=actor_of(mallory))
    assert mail.outbox == []


def test_nobody_is_written_to_without_an_address(mallory, policy, committed):
    User.objects.update(email="")
    committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))
    assert mail.outbox == []


def test_who_asked_is_told_of_the_approval(alice, asked, committed):
    mail.outbox.clear()
    committed(access_requests.approve, asked, approver=alice, hours=1, note="take care", actor=actor_of(alice))
    letter = letters()["mallory@example.com"]
    assert letter.subject.startswith("You may read payments until ")
    assert "take care" in letter.body


def test_who_asked_is_told_of_the_denial(alice, asked, committed):
    mail.outbox.clear()
    committed(access_requests.deny, asked, approver=alice, note="ask the customer", actor=actor_of(alice))
    letter = letters()["mallory@example.com"]
    assert letter.subject == "Your request for payments is denied"
    assert "ask the customer" in letter.body


def test_other_approvers_are_told_of_broken_glass(alice, policy, committed):
    committed(break_glass.take, alice, "payments", minutes=5, reason="payments are down", actor=actor_of(alice))
    assert letters().keys() == {"carol@example.com"}
    letter = letters()["carol@example.com"]
    assert letter.subject.startswith("Break-glass: alice reads payments until ")
    assert "payments are down" in letter.body


def test_text_of_people_stands_in_letters_as_they_wrote_it(mallory, policy, committed):
    committed(access_requests.ask, mallory, "payments", hours=4, reason="a < b & 'c'", actor=actor_of(mallory))
    assert "a < b & 'c'" in mail.outbox[0].body


def test_letter_that_cannot_be_sent_is_logged_and_undoes_nothing(settings, mallory, policy, committed, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_HOST_PASSWORD = "127.0.0.1", 9, "mail-secret"
    committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))
    assert AccessRequest.objects.get().is_waiting
    assert "The e-mail notice of access-request:made could not be sent: ConnectionRefusedError" in caplog.text
    assert "mail-secret" not in caplog.text


# The webhook ----------------------------------------------------------------------------------------------------------


@contextmanager
def listening(status: int = 200, location: str = ""):
    """Give the URL of a server and the list of what it was sent."""
    got: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def do_GET(self) -> None:
            got.append({"method": "GET"})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook-secret", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_webhook_gets_the_facts_and_a_sentence(settings, mallory, policy, committed):
    with listening() as (settings.CODEC_WEBHOOK_URL, got):
        request = committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))
    url = f"http://localhost:8888/access/requests/{request.pk}/"
    assert got == [
        {
            "event": "access-request:made",
            "text": f"mallory asks for access to payments\n{url}",
            "namespace": "payments",
            "user": "mallory",
            "reason": WHY,
            "hours": 4,
            "url": url,
        }
    ]


def test_webhook_gets_answers_and_broken_glass(settings, alice, asked, committed):
    with listening() as (settings.CODEC_WEBHOOK_URL, got):
        committed(access_requests.approve, asked, approver=alice, hours=1, note="", actor=actor_of(alice))
        committed(break_glass.take, alice, "payments", minutes=5, reason="down", actor=actor_of(alice))
    assert [each["event"] for each in got] == ["access-request:approved", "break-glass:taken"]


@pytest.mark.parametrize("status", [500, 404])
def test_webhook_that_fails_is_logged_without_its_address(settings, mallory, policy, committed, caplog, status):
    with listening(status) as (settings.CODEC_WEBHOOK_URL, _):
        committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))
    assert "The webhook notice of access-request:made could not be sent: HTTPError" in caplog.text
    assert "hook-secret" not in caplog.text
    assert len(mail.outbox) == 2


def test_webhook_is_not_led_elsewhere(settings, mallory, policy, committed):
    with listening() as (elsewhere, got), listening(302, elsewhere) as (settings.CODEC_WEBHOOK_URL, _):
        committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))
    assert got == []


def test_webhook_that_does_not_listen_undoes_nothing(settings, mallory, policy, committed, caplog):
    settings.CODEC_WEBHOOK_URL = "http://127.0.0.1:9/hook-secret"
    committed(access_requests.ask, mallory, "payments", hours=4, reason=WHY, actor=actor_of(mallory))
    assert AccessRequest.objects.get().is_waiting
    assert "could not be sent: URLError" in caplog.text


# Beside the request ---------------------------------------------------------------------------------------------------


def test_notice_does_not_hold_up_who_asks(monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    monkeypatch.undo()
    monkeypatch.setattr(notices.connections, "close_all", lambda: None)
    notices._start(lambda: (started.set(), go_on.wait(10)))
    assert started.wait(10)
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "notice":
            thread.join(10)


def test_nothing_is_told_of_what_is_not_committed(mallory, policy):
    access_requests.ask(mallory, "payments", hours=4, reason=WHY, actor=OPERATOR)
    assert mail.outbox == []
