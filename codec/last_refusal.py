"""Which namespace a person was refused, so that they find themselves where they can ask for it."""

import re
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from codec import standing
from codec.authorization import Allowed, authorize_decode
from codec.callers.principal import Principal
from codec.models import User
from keys.actor import ActorKind
from keys.audit import AuditAction, Outcome
from keys.models import AuditRecord, Namespace
from keys.names import is_namespace_name

_RECENT = timedelta(days=1)
_UI_PATH = re.compile(r"/namespaces/([^/]+)")  # of the Temporal Web UI


def unmet_namespace(user: User) -> str:
    """Return the name that `user` was refused last, within a day, and may still not read; or nothing."""
    refused = AuditRecord.objects.filter(
        actor_kind=ActorKind.USER,
        actor_id=str(user.pk),
        outcome=Outcome.DENIED,
        action__in=[AuditAction.PAYLOAD_DECODED, AuditAction.PAYLOAD_ENCODED],
        at__gte=timezone.now() - _RECENT,
    )
    refused = refused.exclude(reason="beyond_token_limits").order_by("-at")
    name = refused.values_list("namespace", flat=True).first() or ""
    return name if is_namespace_name(name) and not _may_read(user, name) else ""


def after_sign_in(user: User, target: str) -> str:
    """Return `target`; for a page of the Web UI that `user` could not read, where to ask for access instead.

    The Web UI sends people here because they were refused. Sent back to what they may not read, they would be
    refused again, and again.
    """
    name = _unreadable_at(user, target) if target.startswith("http") else ""
    return f"{reverse('request_access')}?{urlencode({'namespace': name, 'next': target})}" if name else target


def _unreadable_at(user: User, target: str) -> str:
    """An address that names no namespace is about the one that the person was refused last."""
    named = _UI_PATH.search(urlsplit(target).path)
    name = unquote(named[1]) if named else ""
    if is_namespace_name(name):
        return "" if _may_read(user, name) else name
    return unmet_namespace(user)


def _may_read(user: User, name: str) -> bool:
    namespace = Namespace.objects.filter(name=name).first()
    person = Principal(user.pk, user.username, credential="")
    return isinstance(standing.decide(authorize_decode, person, namespace), Allowed)
