"""Reading a document on the Read page: its payloads come in parts, and one id ties their audit records together.

The id is made here, and the script of the page carries it from part to part as a signed ticket that names the person
and the next part's number. So the records of one reading are numbered without a gap, whoever writes the script.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.core import signing
from django.http import HttpRequest
from temporalio.api.common.v1 import Payload

from codec import request_facts
from codec.callers import session
from codec.callers.principal import Principal
from codec.codec_call import CodecCall, decide
from codec.decoding import read_payloads
from codec.errors import MalformedBody
from keys import epoch

_SALT = "codec.reading"
_MAX_AGE = 3600  # seconds between two parts


@dataclass(frozen=True, slots=True)
class Reading:
    """One document being read, at the part with this number."""

    id: str
    part: int

    @property
    def next(self) -> "Reading":
        return Reading(self.id, self.part + 1)


def begin() -> Reading:
    return Reading(uuid.uuid4().hex, 1)


def ticket(reading: Reading, principal: Principal) -> str:
    """Return what the script brings back with the part that `reading` is at."""
    return signing.dumps([reading.id, reading.part, principal.user_id], salt=_SALT)


def follow(given: str | None, principal: Principal) -> Reading:
    """Return the reading that a ticket of this person's belongs to, a new one without. Raises MalformedBody."""
    if given is None:
        return begin()
    try:
        id_, part, user_id = signing.loads(given, salt=_SALT, max_age=_MAX_AGE)
    except signing.BadSignature as error:
        raise MalformedBody("This reading cannot be continued. Begin again.") from error
    if user_id != principal.user_id:
        raise MalformedBody("This reading was begun by somebody else. Begin again.")
    return Reading(id_, part)


def read(
    request: HttpRequest, reading: Reading, namespace: str, payloads: Callable[[], list[Payload]]
) -> list[Payload]:
    """Return `payloads` decoded for whoever's session this is, recorded with the reading's id and part.

    Raises NotSignedIn, and what codec.decoding.read_payloads raises.
    """

    def call() -> CodecCall:
        number = epoch.read()
        principal = session.authenticate(request)
        return CodecCall(
            epoch=number,
            principal=principal,
            actor=request_facts.caller(request, principal),
            namespace=namespace,
            read=payloads,
            details={"read": reading.id, "part": reading.part},
        )

    return decide(read_payloads, call)
