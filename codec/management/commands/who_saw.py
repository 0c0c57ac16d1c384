import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from codec.pasted import NothingPasted, read_pasted
from codec.who_saw import Answer, Kind, Person, Sighting, who_saw
from keys.actor import operator
from keys.command import VaultCommand
from keys.rotation import find_namespace


class Command(VaultCommand):
    help = (
        "Say who decoded a payload here, and when. Takes JSON: a payload as Temporal stores it, a list of them, "
        "or an exported history. Nothing is decrypted; the search is recorded."
    )
    refusals = (*VaultCommand.refusals, NothingPasted, OSError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", default="-", help="a file of JSON (default: standard input)")
        parser.add_argument("--namespace", help="only requests for this one (default: any)")
        parser.add_argument("--json", action="store_true", help="write one JSON object")

    def run(self, *, file: str, namespace: str | None, **options: Any) -> None:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        if namespace:
            find_namespace(namespace)
        found = read_pasted(text)
        answer = who_saw(found.payloads, namespace=namespace, actor=operator())
        self.stdout.write(json.dumps(_plain(answer, found.places)) if options["json"] else _text(answer, found.places))


def _plain(answer: Answer, places: list[str]) -> dict[str, Any]:
    kinds = zip(places, answer.kinds, strict=True)
    return {
        "payloads": [{"place": place, "kind": kind.value} for place, kind in kinds],
        "people": [_plain_person(person) for person in answer.people],
        "requests": answer.requests,
        "latest": [_plain_sighting(sighting) for sighting in answer.sightings],
    }


def _plain_person(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "kind": person.kind,
        "payloads": sorted(person.payloads),
        "requests": person.requests,
        "first": person.first.isoformat(),
        "last": person.last.isoformat(),
    }


def _plain_sighting(sighting: Sighting) -> dict[str, Any]:
    record = sighting.record
    return {
        "at": record.at.isoformat(),
        "name": record.actor_name,
        "payloads": sighting.payloads,
        "namespace": record.namespace,
        "outcome": record.outcome,
        "address": record.address,
        "credential": record.credential,
        "request_id": record.request_id,
        "event_id": str(record.event_id),
    }


def _text(answer: Answer, places: list[str]) -> str:
    lines = [f"{len(answer.kinds)} payload(s): {', '.join(_counts(answer))}."]
    if not answer.people:
        lines.append("Nobody has been shown any of them by this server.")
    for person in answer.people:
        lines.append(
            f"{person.name} ({person.kind}) was shown {len(person.payloads)} of {answer.sought}, in "
            f"{person.requests} request(s), {person.first:%Y-%m-%d %H:%M} to {person.last:%Y-%m-%d %H:%M} UTC"
        )
    return "\n".join([*lines, *(_line(sighting, places) for sighting in answer.sightings)])


def _counts(answer: Answer) -> list[str]:
    says = {
        Kind.SOUGHT: "searched for",
        Kind.UNKNOWN_KEY: "under a key that was never here",
        Kind.NOT_ENCRYPTED: "not encrypted",
        Kind.DAMAGED: "damaged",
    }
    return [f"{answer.kinds.count(kind)} {words}" for kind, words in says.items() if kind in answer.kinds]


def _line(sighting: Sighting, places: list[str]) -> str:
    record = sighting.record
    which = ", ".join(places[number - 1] for number in sighting.payloads)
    shown = "" if sighting.was_shown else "  (failed: nothing was shown)"
    return (
        f"  {record.at:%Y-%m-%d %H:%M:%S}  {record.actor_name}  {record.namespace}  {record.address}  "
        f"{record.credential}  {which}{shown}"
    )
