"""Telling people what waits for them: by e-mail, and by a webhook for a team's chat.

Sent in a thread after the change is committed. It may fail: that is logged, and neither slows nor undoes anything,
because whoever has to act sees it on their start page as well.
"""

import json
import logging
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core import mail
from django.db import DatabaseError, connections
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode

from codec import policies
from codec.models import AccessRequest, Grant, User
from keys.models import Namespace

if TYPE_CHECKING:
    from codec.alerts import Alert

logger = logging.getLogger(__name__)

_SECONDS = 5
_PERMISSIONS = "django.contrib.auth.backends.ModelBackend"
_FAILURES = (OSError, HTTPException, DatabaseError, ValueError)  # SMTPException is an OSError


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for some people. `facts` go to the webhook, and with the event's name into the texts of the e-mail."""

    event: str
    people: list[User]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        return " ".join(self._render("subject").split())

    @property
    def body(self) -> str:
        return self._render("body").strip() + "\n"

    def _render(self, part: str) -> str:
        return render_to_string(f"codec/mail/{self.event.replace(':', '-')}.txt", {**self.facts, "part": part})


def request_made(request: AccessRequest) -> None:
    """Tell the approvers. The same happens for any name, so that the answer takes as long for each."""
    _start(lambda: _request_made(request))


def request_answered(request: AccessRequest) -> None:
    """Tell who asked."""
    event = f"access-request:{request.outcome}"
    _start(lambda: _send(Notice(event, [request.user], _about_request(request, reverse("home")))))


def glass_broken(grant: Grant) -> None:
    """Tell the approvers that somebody has taken a right by themselves."""
    _start(lambda: _glass_broken(grant))


def alert_raised(alert: "Alert") -> None:
    """Tell the auditors, but not the person whom it is about."""
    _start(lambda: _alert_raised(alert))


def _request_made(request: AccessRequest) -> None:
    namespace = Namespace.objects.filter(name=request.namespace_name, retired_at=None).first()
    if namespace is not None:
        facts = _about_request(request, reverse("answer_request", args=[request.pk]))
        _send(Notice("access-request:made", _approvers_but(request.user, namespace), facts))


def _glass_broken(grant: Grant) -> None:
    assert grant.user is not None  # noqa: S101  a constraint has seen to it
    facts = {
        "namespace": grant.namespace.name,
        "user": grant.user.username,
        "reason": grant.reason,
        "ticket": grant.ticket,
        "until": f"{grant.ends_at:%Y-%m-%d %H:%M} UTC",
        "url": settings.CODEC_PUBLIC_URL + reverse("home"),
    }
    _send(Notice("break-glass:taken", _approvers_but(grant.user, grant.namespace), facts))


def _alert_raised(alert: "Alert") -> None:
    person = alert.person
    page = f"{reverse('admin:keys_viewing_changelist')}?{urlencode({'person': person.actor_name})}"
    facts = {
        "kind": alert.kind.value,
        "user": person.actor_name,
        "number": alert.number,
        "threshold": alert.threshold,
        "hour": f"{person.hour:%Y-%m-%d %H:%M} UTC",
        "url": settings.CODEC_PUBLIC_URL + page,
    }
    auditors = User.objects.with_perm("keys.review_viewing", backend=_PERMISSIONS)
    _send(Notice("alert:raised", list(auditors.exclude(pk__in=_ids(person.actor_id))), facts))


def _ids(actor_id: str) -> list[int]:
    return [int(actor_id)] if actor_id.isdecimal() else []


def _approvers_but(person: User, namespace: Namespace) -> list[User]:
    return list(policies.approvers_of(namespace).exclude(pk=person.pk))


def _about_request(request: AccessRequest, path: str) -> dict[str, Any]:
    ends_at = request.grant.ends_at if request.grant else None
    return {
        "namespace": request.namespace_name,
        "user": request.user.username,
        "reason": request.reason,
        "ticket": request.ticket,
        "hours": request.hours,
        "note": request.note,
        "answered_by": request.decided_by,
        "until": f"{ends_at:%Y-%m-%d %H:%M} UTC" if ends_at else "",
        "url": settings.CODEC_PUBLIC_URL + path,
    }


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=_run, args=(work,), name="notice").start()


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except _FAILURES as error:
        logger.warning("A notice could not be made: %s", type(error).__name__)
    finally:
        connections.close_all()


def _send(notice: Notice) -> None:
    for way, send in (("e-mail", _send_mail), ("webhook", _send_webhook)):
        try:
            send(notice)
        except _FAILURES as error:  # whose text may hold the address, which may be a secret
            logger.warning("The %s notice of %s could not be sent: %s", way, notice.event, type(error).__name__)


def _send_mail(notice: Notice) -> None:
    """Send each person a message of their own: they need not know each other."""
    addresses = [person.email for person in notice.people if person.email]
    if addresses:
        letters = [mail.EmailMessage(notice.subject, notice.body, to=[address]) for address in addresses]
        mail.get_connection().send_messages(letters)


def _send_webhook(notice: Notice) -> None:
    if not settings.CODEC_WEBHOOK_URL:
        return
    facts = {name: value for name, value in notice.facts.items() if value not in ("", None)}
    body = json.dumps({"event": notice.event, "text": f"{notice.subject}\n{notice.facts['url']}", **facts})
    request = urllib.request.Request(  # noqa: S310  a system check has seen to the scheme
        settings.CODEC_WEBHOOK_URL, body.encode(), {"Content-Type": "application/json"}
    )
    with _opener.open(request, timeout=_SECONDS):
        pass


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Go nowhere else: the operator has named one address."""


_opener = urllib.request.build_opener(_NoRedirects)
