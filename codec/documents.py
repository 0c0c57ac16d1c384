"""Payloads anywhere in a JSON document: a payload, a list of them, a request's body, an exported history.

They are found as the Web UI finds them (temporalio/ui src/lib/utilities/decode-payload.ts): an object with metadata
and data, the elements of `payloads`, the value of `encodedAttributes`. Lists are looked through as well, because the
events of a history are one. static/codec/payloads.js does the same in the browser.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

_Place = tuple[Any, Any]  # an object or list, and the key or index in it

_PAYLOAD, _PAYLOADS = "payload", "payloads"
_EXPECTED = {"payloads": _PAYLOADS, "encodedAttributes": _PAYLOAD, "encoded_attributes": _PAYLOAD}


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a document that is shown by itself: an event, an element of a list. `payloads` counts those in it."""

    title: str
    text: str
    payloads: int


class Document:
    """A parsed JSON document. `payloads` are its payloads as they stood there, in order."""

    def __init__(self, value: Any) -> None:
        self._root = [value]
        self._places = list(_find(self._root))
        self._parts = _parts(self._root)
        self._counts = [sum(1 for _ in _find([part])) for part in self._parts]
        self.payloads: list[Any] = [holder[key] for holder, key in self._places]

    def fill(self, replacements: Sequence[Any]) -> None:
        """Put one value in the place of each payload, in order."""
        for (holder, key), value in zip(self._places, replacements, strict=True):
            holder[key] = value

    def text(self) -> bytes:
        """Return the document as it is now, indented."""
        return orjson.dumps(self._root[0], option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def titles(self) -> list[str]:
        """Return, for each payload, the title of the part that it stands in; its number where parts do not hold all."""
        if sum(self._counts) != len(self.payloads):
            return [f"Payload {number}" for number in range(1, len(self.payloads) + 1)]
        numbered = enumerate(zip(self._parts, self._counts, strict=True), start=1)
        return [_title(part, number) for number, (part, count) in numbered for _ in range(count)]

    def items(self) -> list[Item]:
        """Return its events, or its elements, or all of it as one."""
        numbered = enumerate(zip(self._parts, self._counts, strict=True), start=1)
        return [Item(_title(part, number), _text(part), count) for number, (part, count) in numbered]


def _find(root: list[Any]) -> Iterator[_Place]:
    """Yield the place of each payload, in the document's order. Not recursive: depth costs no stack."""
    waiting: list[tuple[Any, Any, str]] = [(root, index, "") for index in reversed(range(len(root)))]
    while waiting:
        holder, key, expected = waiting.pop()
        value = holder[key]
        if _is_payload(value, expected=expected == _PAYLOAD):
            yield holder, key
        elif isinstance(value, dict):
            waiting.extend((value, name, _EXPECTED.get(name, "")) for name in reversed(value))
        elif isinstance(value, list):
            inside = _PAYLOAD if expected == _PAYLOADS else ""
            waiting.extend((value, index, inside) for index in reversed(range(len(value))))


def _is_payload(value: Any, *, expected: bool) -> bool:
    """True for metadata of texts, with data; without data (null is encoded so) only where a payload has to stand."""
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return False
    if not all(isinstance(text, str) for text in value["metadata"].values()):
        return False
    return isinstance(value.get("data"), str) or (expected and value.get("data") is None)


def _parts(root: list[Any]) -> list[Any]:
    """Return the list that holds the parts to show: parts that are replaced are replaced there."""
    value = root[0]
    inside = value.get("events") if isinstance(value, dict) else value
    return inside if isinstance(inside, list) and inside else root


def _title(part: Any, number: int) -> str:
    """Return e.g. "5 Activity task completed" for an event."""
    kind = part.get("eventType") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        return f"Part {number}"
    return f"{part.get('eventId', number)} {kind.removeprefix('EVENT_TYPE_').replace('_', ' ').capitalize()}"


def _text(part: Any) -> str:
    return orjson.dumps(part, option=orjson.OPT_INDENT_2).decode()
