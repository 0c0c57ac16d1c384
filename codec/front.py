"""The front layer: repeats a decision that Django has just made, for an equal request, while nothing has changed.

Django is the one authority: it authenticates, authorises, and makes every answer but this one. When it has answered
a decode or encode with 200, what that answer rested on is remembered for half a minute at most, never beyond the
end of the session, token or grant. A request is equal when the client's address, the raw target and every header but
those in `UNLIKE_EACH_TIME` are the same, byte for byte; a keyed digest of them is what is remembered, not the headers.

What is remembered holds only for the policy epoch it was made under. The audit writer reads the epoch in the
transaction that commits the record, before the record is written: if it has moved, nothing is recorded as decoded
and the request goes to Django. So does every request that this layer does not know or cannot answer with 200.
Limits, the rate and the record are applied to each request.

Two use it: codecsite/protocol.py for what a connection brings again, codec/front_asgi.py for the rest and for learning.
"""

import itertools
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from django.conf import settings

from codec import rate_limit, wire
from codec.codec_call import Entry
from codec.decoding import RememberedKeys, remembered_keys, repeat_decode
from codec.encoding import repeat_encode
from codec.errors import CodecError
from codec.limits import decoding_limits, wire_limits
from codec.observations import Tally
from codec.payload_codec.chain import Limits
from codec.payload_codec.errors import PayloadCodecError
from codec.permission import Permission
from codec.quick import QuickWay
from codec.quick_decode import QuickDecoder
from codec.quick_encode import QuickEncoder
from codec.wire import WireLimits
from keys import audit
from keys.audit import AuditAction
from keys.audit_mould import Mould, MouldedLine, details_json
from keys.errors import AuditUnavailable, KeysError
from keys.group_commit import Then, codec_requests

Headers = list[tuple[bytes, bytes]]

LONGEST_MEMORY = 30.0  # seconds
RENEWAL = 10.0  # seconds
MOST_REMEMBERED = 10_000
LARGEST_BODY = 4 * 1024 * 1024  # a larger one would hold up the event loop: it is a thread's work
UNLIKE_EACH_TIME = {
    *(b"content-length", b"traceparent", b"tracestate", b"x-request-id"),
    *(b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled", b"x-b3-flags"),
}
LONGEST_UNLIKE = 256  # bytes; a longer one counts, so that the bound on all headers together stays Django's to judge
CHANGE_THE_TRANSPORT = {b"transfer-encoding", b"upgrade", b"expect"}  # a request with one of them is not learned
_OWN_HEADERS = {b"content-length", b"x-request-id"}


@dataclass(slots=True)
class Remembered:
    """Times are those of time.time(). From `renew_at` on, one request goes to Django, so that not all do at `ends`.

    `mould` is that of the audit records. `headers` are those of Django's answer, but for the length and the request
    id; `head` is the same as it stands in HTTP.
    """

    permission: Permission
    rate: float
    largest_body: int
    keys: RememberedKeys
    quick: QuickWay | None
    wire_limits: WireLimits
    decoding_limits: Limits
    tally: Tally
    mould: Mould
    headers: Headers
    head: bytes
    ends: float
    renew_at: float

    def serves(self, now: float) -> bool:
        return now < self.renew_at and now < self.ends


@dataclass(slots=True)
class Repetition:
    """An answer that may leave once `line` is committed under the epoch that it was made under."""

    remembered: Remembered
    body: bytes
    request_id: str
    line: MouldedLine

    def commit(self, then: Then) -> None:
        """Call `then` in this event loop, with None when the answer may leave, or with the error."""
        codec_requests.submit(self.line, self.remembered.permission.epoch, then)

    def count(self) -> None:
        """Count the request, which is answered now, for the Connect page."""
        self.remembered.tally.count(time.time())


class Front:
    """The memory of one process, used by its event loop alone."""

    def __init__(self) -> None:
        self._memory: OrderedDict[bytes, Remembered] = OrderedDict()
        self._secret = os.urandom(32)
        self._process = os.urandom(8).hex()
        self._count = itertools.count(1)

    def likeness(self, client: str, target: bytes, headers: Headers) -> bytes:
        """Return a keyed digest of what makes two POST requests equal."""
        parts = [client.encode(), target]
        for header in headers:
            if header[0] not in UNLIKE_EACH_TIME or len(header[1]) > LONGEST_UNLIKE:
                parts += header
        # no part can hold a line break
        return blake2b(b"\n".join(parts), digest_size=16, key=self._secret).digest()

    def recall(self, likeness: bytes) -> Remembered | None:
        """Return what is remembered of such a request, unless it is time to renew it."""
        remembered = self._memory.get(likeness)
        return remembered if remembered is not None and remembered.serves(time.time()) else None

    def recall_or_renew(self, likeness: bytes) -> Remembered | None:
        """Do the same, and when it is time to renew it, let the caller do so, and others repeat it meanwhile."""
        remembered = self.recall(likeness)
        if remembered is None and likeness in self._memory:
            self._memory[likeness].renew_at = time.time() + RENEWAL
        return remembered

    def forget(self, likeness: bytes) -> None:
        self._memory.pop(likeness, None)

    def learn(self, likeness: bytes, permission: Permission, tally: Tally, headers: Headers) -> None:
        """Remember what an answer with 200 rested on, and the headers that the answer had."""
        now = time.time()
        ends = now + LONGEST_MEMORY
        if permission.until is not None:
            ends = min(ends, permission.until.timestamp())
        kept = [header for header in headers if header[0] not in _OWN_HEADERS]
        keys, limits = remembered_keys(permission.namespace, permission.epoch), wire_limits()
        self._memory[likeness] = Remembered(
            permission=permission,
            rate=rate_limit.capacity(),
            largest_body=min(LARGEST_BODY, settings.CODEC_MAX_BODY_BYTES),
            keys=keys,
            quick=_quick_way(permission, keys, limits),
            wire_limits=limits,
            decoding_limits=decoding_limits(),
            tally=tally,
            mould=_mould(permission),
            headers=kept,
            head=b"".join(b"%b: %b\r\n" % header for header in kept),
            ends=ends,
            renew_at=now + LONGEST_MEMORY - RENEWAL,
        )
        if len(self._memory) > MOST_REMEMBERED:
            self._memory.popitem(last=False)

    def repeat(self, remembered: Remembered, body: bytes) -> Repetition | None:
        """Return the answer and the record that has to be committed before it. None: Django has to answer."""
        permission, entry = remembered.permission, Entry()
        if len(body) > remembered.largest_body or not rate_limit.take(permission.principal.user_id, remembered.rate):
            return None
        try:
            answer = _transform(remembered, body, entry)
        except (CodecError, KeysError, PayloadCodecError):
            return None
        entry.note_grant(permission.allowed)
        request_id = f"{self._process}-{next(self._count):x}"
        line = MouldedLine(remembered.mould, request_id, details_json(entry.details), fingerprints=entry.fingerprints)
        return Repetition(remembered, answer, request_id, line)


def refusal_of(error: Exception) -> str | None:
    """Return the mark with which Django refuses at once a request whose record could not be committed."""
    return "audit_unavailable" if isinstance(error, AuditUnavailable) else None


def _transform(remembered: Remembered, body: bytes, entry: Entry) -> bytes:
    """Return the answer's body. Raises CodecError, KeysError, PayloadCodecError where it is not a plain success."""
    permission = remembered.permission
    quick = remembered.quick(body) if remembered.quick else None
    if quick is not None:
        entry.count(quick.payloads, quick.size)
        entry.count_keys(quick.key_labels)
        entry.note_fingerprints(permission.namespace.name, quick.openings)
        return quick.answer
    payloads = wire.parse_payloads(body, limits=remembered.wire_limits, refuse_unknown_fields=permission.encodes)
    entry.count_payloads(payloads)
    if permission.encodes:
        return wire.write_payloads(repeat_encode(payloads, remembered.keys, entry))
    decoded = repeat_decode(payloads, remembered.keys, remembered.decoding_limits, entry)
    return wire.write_readable(decoded) if permission.readable else wire.write_payloads(decoded)


def _quick_way(permission: Permission, keys: RememberedKeys, limits: WireLimits) -> QuickWay | None:
    if permission.encodes:
        return QuickEncoder(keys, limits, keys.namespace.codec_chain.split(",")).encode
    return None if permission.readable else QuickDecoder(keys, limits, decoding_limits()).decode


def _mould(permission: Permission) -> Mould:
    entry = Entry()
    entry.note_grant(permission.allowed)
    entry.allow()
    first = audit.compose(
        AuditAction.PAYLOAD_ENCODED if permission.encodes else AuditAction.PAYLOAD_DECODED,
        actor=permission.actor,
        reason=entry.reason,
        namespace=permission.namespace.name,
    )
    return Mould(first)


front = Front()
