"""The front layer: repeats a decision that Django has just made, for an equal request, while nothing has changed.

Django is the one authority: it authenticates, authorises, and makes every answer but this one. When it has answered
a decode or encode with 200, what that answer rested on is remembered for half a minute at most, never beyond the
end of the session, token or grant. A request is equal when method, raw target and every header but those in
`UNLIKE_EACH_TIME` are the same, byte for byte; their digest is what is remembered, not the headers.

What is remembered holds only for the policy epoch it was made under. The audit writer reads the epoch in the
transaction that commits the record, before the record is written: if it has moved, nothing is recorded as decoded
and the request goes to Django. So does every request that this layer does not know or cannot answer with 200.
Limits, the rate and the address in the record are applied to each request.
"""

import itertools
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from codec import rate_limit, wire
from codec.callers.principal import Principal
from codec.codec_call import Entry
from codec.decoding import repeat_decode
from codec.encoding import repeat_encode
from codec.errors import CodecError
from codec.limits import wire_limits
from codec.observations import Facts, observe_again
from codec.payload_codec.errors import PayloadCodecError
from codec.permission import Permission
from codec.request_facts import address_in
from keys import audit
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction
from keys.epoch import PolicyMoved
from keys.errors import AuditUnavailable, KeysError
from keys.group_commit import codec_requests

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

LONGEST_MEMORY = 30.0  # seconds
RENEWAL = 10.0  # seconds
MOST_REMEMBERED = 10_000
LARGEST_BODY = 4 * 1024 * 1024  # a larger one would hold up the event loop: it is a thread's work
UNLIKE_EACH_TIME = {
    *(b"content-length", b"user-agent", b"traceparent", b"tracestate", b"x-request-id"),
    *(b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled", b"x-b3-flags"),
}
_OWN_HEADERS = {b"content-length", b"x-request-id"}


@dataclass(slots=True)
class Remembered:
    """Times are those of time.time(). At `renew_at` one request goes to Django, so that not all do at `ends`."""

    permission: Permission
    facts: Facts
    headers: Headers
    ends: float
    renew_at: float

    def serves(self, now: float) -> bool:
        if now >= self.renew_at:
            self.renew_at = now + RENEWAL
            return False
        return now < self.ends


class Front:
    """ASGI middleware between the intake, which hands on whole bodies, and Django."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._memory: OrderedDict[bytes, Remembered] = OrderedDict()
        self._secret = os.urandom(32)
        self._process = os.urandom(8).hex()
        self._count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or "codec.refusal" in scope:
            await self._app(scope, receive, send)
            return
        likeness = self._likeness(scope)
        remembered = self._memory.get(likeness)
        if remembered is None or not remembered.serves(time.time()):
            await self._app(scope, receive, self._learning(likeness, scope, send))
            return
        message = await receive()
        answer = await self._repeat(remembered, scope, message["body"])
        if answer is None:
            self._memory.pop(likeness, None)
            await self._app(scope, _replaying(message), self._learning(likeness, scope, send))
            return
        await _respond(send, remembered.headers, *answer)

    def _likeness(self, scope: Scope) -> bytes:
        """Return a keyed digest of what makes two requests equal."""
        parts = [scope["raw_path"], scope["query_string"]]
        for name, value in scope["headers"]:
            if name not in UNLIKE_EACH_TIME:
                parts.append(name)
                parts.append(value)
        # no part can hold a line break
        return blake2b(b"\n".join(parts), digest_size=16, key=self._secret).digest()

    async def _repeat(self, remembered: Remembered, scope: Scope, body: bytes) -> tuple[bytes, bytes] | None:
        """Return (answer, request id), or None where Django has to decide afresh."""
        permission, entry = remembered.permission, Entry()
        if len(body) > LARGEST_BODY or not rate_limit.admit(permission.principal):
            return None
        try:
            answer = _transform(permission, body, entry)
        except (CodecError, KeysError, PayloadCodecError):
            return None
        entry.note_grant(permission.allowed)
        entry.allow()
        request_id = f"{self._process}-{next(self._count):x}"
        actor = _actor(permission.principal, scope, request_id)
        line = audit.compose(
            AuditAction.PAYLOAD_ENCODED if permission.encodes else AuditAction.PAYLOAD_DECODED,
            actor=actor,
            reason=entry.reason,
            namespace=permission.namespace.name,
            details=entry.details,
        )
        line.fingerprints = entry.fingerprints
        try:
            await codec_requests.write_from_loop(line, permission.epoch)
        except AuditUnavailable:
            scope["codec.refusal"] = "audit_unavailable"  # Django answers that at once
            return None
        except PolicyMoved:
            return None
        observe_again(remembered.facts, actor)
        return answer, request_id.encode()

    def _learning(self, likeness: bytes, scope: Scope, send: Send) -> Send:
        """Return `send`, remembering what Django's answer rested on if it is a 200 that left its permission."""

        async def send_and_learn(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                permission, facts = scope.get("codec.permission"), scope.get("codec.facts")
                sets_cookie = any(name == b"set-cookie" for name, _ in message["headers"])
                if permission is not None and facts is not None and not sets_cookie:
                    self._remember(likeness, permission, facts, message["headers"])
            await send(message)

        return send_and_learn

    def _remember(self, likeness: bytes, permission: Permission, facts: Facts, headers: Headers) -> None:
        now = time.time()
        ends = now + LONGEST_MEMORY
        if permission.until is not None:
            ends = min(ends, permission.until.timestamp())
        kept = [header for header in headers if header[0] not in _OWN_HEADERS]
        self._memory[likeness] = Remembered(permission, facts, kept, ends, renew_at=now + LONGEST_MEMORY - RENEWAL)
        if len(self._memory) > MOST_REMEMBERED:
            self._memory.popitem(last=False)


def _transform(permission: Permission, body: bytes, entry: Entry) -> bytes:
    """Return the answer's body. Raises CodecError, KeysError, PayloadCodecError where it is not a plain success."""
    payloads = wire.parse_payloads(body, limits=wire_limits(), refuse_unknown_fields=permission.encodes)
    entry.count_payloads(payloads)
    if permission.encodes:
        return wire.write_payloads(repeat_encode(payloads, permission.namespace, permission.epoch, entry))
    decoded = repeat_decode(payloads, permission.namespace, permission.epoch, entry)
    return wire.write_readable(decoded) if permission.readable else wire.write_payloads(decoded)


def _actor(principal: Principal, scope: Scope, request_id: str) -> Actor:
    headers = dict(scope["headers"])
    return Actor(
        kind=ActorKind.USER,
        id=str(principal.user_id),
        name=principal.username,
        credential=principal.credential,
        address=address_in(headers.get(b"x-forwarded-for", b"").decode("latin-1"), (scope.get("client") or ("",))[0]),
        web_origin=headers.get(b"origin", b"").decode("latin-1"),
        user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
        request_id=request_id,
    )


def _replaying(message: Message) -> Receive:
    async def receive() -> Message:
        return message

    return receive


async def _respond(send: Send, headers: Headers, body: bytes, request_id: bytes) -> None:
    own = [(b"content-length", b"%d" % len(body)), (b"x-request-id", request_id)]
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, *own]})
    await send({"type": "http.response.body", "body": body})
