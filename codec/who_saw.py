"""Who has seen this payload? Asked of the audit's fingerprints (keys/fingerprints.py); nothing is decrypted for it.

A payload as Temporal stores it shows the id of its key, its nonce and its tag. With the Namespace that is enough to
find every request that opened it here. Workers, which open payloads by themselves, are not seen.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from temporalio.api.common.v1 import Payload

from codec.limits import decoding_limits
from codec.payload_codec.chain import Decoder, Seal
from codec.payload_codec.errors import PayloadCodecError
from codec.payload_codec.keysource import Key
from keys import audit, fingerprint_index
from keys.actor import Actor
from keys.audit import AuditAction, Outcome
from keys.fingerprints import fingerprint
from keys.models import AuditRecord, KeyVersion
from keys.names import key_id_digest

MOST_SIGHTINGS = 500


class Kind(StrEnum):
    """What can be said of a payload before the audit is asked."""

    SOUGHT = "sought"
    UNKNOWN_KEY = "unknown key"
    NOT_ENCRYPTED = "not encrypted"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One request that opened some of the payloads, given by their places in the list, from 1."""

    record: AuditRecord
    payloads: list[int]

    @property
    def was_shown(self) -> bool:
        """False for a request that failed after it had opened them: nothing left the server."""
        return self.record.outcome == Outcome.ALLOWED


@dataclass(slots=True)
class Person:
    """What one person, or machine, has been shown of the payloads in all."""

    name: str
    kind: str
    first: datetime
    last: datetime
    requests: int = 0
    payloads: set[int] = field(default_factory=set)

    def add(self, sighting: Sighting) -> None:
        self.requests += 1
        self.payloads.update(sighting.payloads)
        self.first = min(self.first, sighting.record.at)
        self.last = max(self.last, sighting.record.at)


@dataclass(slots=True)
class Answer:
    """`kinds` has one entry for each payload; `sightings` the latest MOST_SIGHTINGS of `requests`, latest first."""

    kinds: list[Kind]
    people: list[Person]
    sightings: list[Sighting]
    requests: int

    @property
    def sought(self) -> int:
        return self.kinds.count(Kind.SOUGHT)


def who_saw(payloads: list[Payload], *, namespace: str | None = None, actor: Actor) -> Answer:
    """Return who opened any of the payloads, in this namespace or in any. The search is recorded before it returns.

    Raises django.db.DatabaseError.
    """
    kinds, places = _look_at(payloads, namespace)
    people: dict[tuple[str, str], Person] = {}
    latest: deque[Sighting] = deque(maxlen=MOST_SIGHTINGS)
    requests = 0
    for record, held in fingerprint_index.find(set(places)):
        sighting = Sighting(record, sorted({place for one in held for place in places[one]}))
        requests += 1
        latest.append(sighting)
        if sighting.was_shown:
            _person(people, record).add(sighting)
    answer = Answer(kinds, sorted(people.values(), key=lambda one: one.first), _latest_first(latest), requests)
    _record(answer, namespace, actor)
    return answer


def _look_at(payloads: list[Payload], namespace: str | None) -> tuple[list[Kind], dict[bytes, list[int]]]:
    """Return the kind of each payload, and where the payloads with each fingerprint stand."""
    kinds: list[Kind] = []
    places: dict[bytes, list[int]] = defaultdict(list)
    decoder, labels = Decoder(_NoKeys(), decoding_limits()), _Labels(namespace)
    for place, payload in enumerate(payloads, 1):
        kind, found = _fingerprints(payload, decoder, labels)
        kinds.append(kind)
        for one in found:
            places[one].append(place)
    return kinds, places


def _fingerprints(payload: Payload, decoder: Decoder, labels: "_Labels") -> tuple[Kind, list[bytes]]:
    try:
        seal = decoder.outer_seal(payload)
    except PayloadCodecError:
        return Kind.DAMAGED, []
    if seal is None:
        return Kind.NOT_ENCRYPTED, []
    found = [fingerprint(namespace, label, seal.nonce, seal.tag) for namespace, label in labels.of(seal)]
    return (Kind.SOUGHT, found) if found else (Kind.UNKNOWN_KEY, [])


class _Labels:
    """The namespaces that have, or had, a key of an id; and what the key is called there. Without an id, all keys."""

    def __init__(self, namespace: str | None) -> None:
        self._versions = KeyVersion.objects.filter(namespace__name=namespace) if namespace else KeyVersion.objects.all()
        self._known: dict[bytes | None, list[tuple[str, str]]] = {}

    def of(self, seal: Seal) -> list[tuple[str, str]]:
        if seal.wire_id not in self._known:
            self._known[seal.wire_id] = self._find(seal.wire_id)
        return self._known[seal.wire_id]

    def _find(self, wire_id: bytes | None) -> list[tuple[str, str]]:
        versions = self._versions
        if wire_id is not None:
            versions = versions.filter(key_id_digest=key_id_digest(wire_id))
        return list(versions.values_list("namespace__name", "key_id"))


class _NoKeys:
    """A KeySource for looking at payloads without opening one."""

    def encryption_key(self) -> Key | None:
        return None

    def decryption_key(self, wire_id: bytes) -> Key | None:
        return None


def _person(people: dict[tuple[str, str], Person], record: AuditRecord) -> Person:
    who = (record.actor_kind, record.actor_id or record.actor_name)
    return people.setdefault(who, Person(record.actor_name, record.actor_kind, record.at, record.at))


def _latest_first(sightings: Iterable[Sighting]) -> list[Sighting]:
    return sorted(sightings, key=lambda sighting: sighting.record.at, reverse=True)


def _record(answer: Answer, namespace: str | None, actor: Actor) -> None:
    counts = {"payloads": len(answer.kinds), "sought": answer.sought, "found": answer.requests}
    audit.record(AuditAction.AUDIT_SEARCHED, actor=actor, namespace=namespace or "", details=counts)
