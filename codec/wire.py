"""The protocol's JSON and Payloads: what a request may look like, and exactly what an answer looks like.

    {"payloads": [{"metadata": {"encoding": "<base64>"}, "data": "<base64>", "externalPayloads": [{"sizeBytes": "1"}]}]}

This is `temporal.api.common.v1.Payloads` in the JSON mapping of proto3, as every client writes it: the Web UI and
Java send camelCase and sizes as strings, Go and the CLI snake_case and sizes as numbers (temporalio/sdk-go
converter/codec.go sends encoding/json of the struct). Answers suit the strictest reader among them.
"""

import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pybase64
from temporalio.api.common.v1 import Payload

from codec.errors import MalformedBody, NamespaceMissing, TooLarge
from keys.names import is_namespace_name

# Accepted spellings of each message's fields, and the one used here.
REQUEST_FIELDS = {"payloads": "payloads"}
PAYLOAD_FIELDS = {
    "metadata": "metadata",
    "data": "data",
    "externalPayloads": "externalPayloads",
    "external_payloads": "externalPayloads",
}
EXTERNAL_PAYLOAD_FIELDS = {"sizeBytes": "sizeBytes", "size_bytes": "sizeBytes"}

LONGEST_NUMBER_IN_STRING = 32
LARGEST_EXACT_FLOAT = 2**53

MAX_READABLE_SEPARATORS = 250_000

# The Web UI sends this on pages without a namespace: JavaScript's undefined, turned into a header.
NO_NAMESPACE = "undefined"

_FROM_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class WireLimits:
    """How many payloads a request, and how many metadata entries and external payloads a payload, may have."""

    max_payloads: int = 2000
    max_metadata_entries: int = 64
    max_external_payloads: int = 64

    @property
    def max_separators(self) -> int:
        """How many commas, or brackets of one kind, the JSON of an acceptable request has at most, generously."""
        return self.max_payloads * (self.max_metadata_entries + self.max_external_payloads + 4)


# Requests -------------------------------------------------------------------------------------------------------------


def parse_payloads(body: bytes, *, limits: WireLimits, refuse_unknown_fields: bool) -> list[Payload]:
    """Return the payloads of a request, in order.

    Null and absent are the same as empty, except as an element of a list. Of duplicate keys the last wins.
    Raises MalformedBody or TooLarge; their details say where something is wrong, never what stands there.
    """
    return _RequestParser(limits, refuse_unknown_fields).parse(body)


@dataclass(frozen=True, slots=True)
class _RequestParser:
    limits: WireLimits
    refuse_unknown_fields: bool

    def parse(self, body: bytes) -> list[Payload]:
        request = self._fields(parse_json(body, self.limits.max_separators), REQUEST_FIELDS, "The body")
        items = _list(request.get("payloads"), "payloads")
        if len(items) > self.limits.max_payloads:
            raise TooLarge(f"The request has more than {self.limits.max_payloads} payloads.")
        return [self._payload(item, f"payloads[{index}]") for index, item in enumerate(items)]

    def _payload(self, item: object, where: str) -> Payload:
        fields = self._fields(item, PAYLOAD_FIELDS, where)
        payload = Payload(data=_bytes(fields.get("data"), where, "data"))
        if (entries := fields.get("metadata")) is not None:
            self._fill_metadata(payload, entries, where)
        if (items := fields.get("externalPayloads")) is not None:
            self._fill_external_payloads(payload, items, where)
        return payload

    def _fill_metadata(self, payload: Payload, entries: object, where: str) -> None:
        if not isinstance(entries, dict):
            raise MalformedBody(f"{where}.metadata is not an object.")
        if len(entries) > self.limits.max_metadata_entries:
            raise TooLarge(f"{where}.metadata has more than {self.limits.max_metadata_entries} entries.")
        metadata = payload.metadata
        for name, value in entries.items():
            metadata[name] = _bytes(value, where, "metadata")

    def _fill_external_payloads(self, payload: Payload, items: object, where: str) -> None:
        items = _list(items, f"{where}.externalPayloads")
        if len(items) > self.limits.max_external_payloads:
            raise TooLarge(f"{where}.externalPayloads has more than {self.limits.max_external_payloads} elements.")
        for item in items:
            fields = self._fields(item, EXTERNAL_PAYLOAD_FIELDS, f"an element of {where}.externalPayloads")
            payload.external_payloads.add(size_bytes=_int64(fields.get("sizeBytes"), f"{where}.sizeBytes"))

    def _fields(self, value: object, spellings: Mapping[str, str], where: str) -> dict[str, Any]:
        """Return the known fields of a JSON object, each under one spelling."""
        if not isinstance(value, dict):
            raise MalformedBody(f"{where} is not an object.")
        fields = {spellings[name]: field for name, field in value.items() if name in spellings}
        if self.refuse_unknown_fields and not value.keys() <= spellings.keys():
            raise MalformedBody(f"{where} has an unknown field, which would be lost.")
        return fields


def parse_json(body: bytes, max_separators: int) -> object:
    """Return the JSON value. Raises TooLarge where it has more values than that, MalformedBody where it is none."""
    if not is_modest(body, max_separators):
        raise TooLarge("The body has more JSON values than the payloads of a request need.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not JSON in UTF-8: line {error.lineno}, column {error.colno}.") from error


def is_modest(json: bytes, max_separators: int) -> bool:
    """Whether the JSON has so few values that parsing it cannot take many times its size in memory.

    32 MiB of brackets would become 1.5 GiB of lists. Base64 has none of these characters, so payloads are free.
    """
    if len(json) <= max_separators:
        return True
    return all(_occurs_at_most(json, separator, max_separators) for separator in (b",", b"[", b"{"))


def _occurs_at_most(text: bytes, character: bytes, times: int) -> bool:
    # Faster than text.count, which looks at every byte, where the character is rare.
    position = -1
    for _ in range(times + 1):
        position = text.find(character, position + 1)
        if position < 0:
            return True
    return False


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedBody(f"{where} is not a list.")
    return value


def _bytes(value: object, where: str, field: str) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise MalformedBody(f"{where}.{field} is not a string.")
    try:
        return _decode_base64(value)
    except ValueError as error:
        raise MalformedBody(f"{where}.{field} is not base64.") from error


def _decode_base64(text: str) -> bytes:
    """Return the bytes of standard or URL-safe base64, padded wholly or not at all. Raises ValueError."""
    try:
        return _decode_standard_base64(text)
    except binascii.Error:
        return _decode_standard_base64(_to_standard_base64(text))


def _decode_standard_base64(text: str) -> bytes:
    return pybase64.b64decode(text, None, True)  # validate; as a keyword it costs as much again as a short value


def _to_standard_base64(text: str) -> str:
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise ValueError("two base64 alphabets mixed")
        text = text.translate(_FROM_URL_SAFE)
    if "=" not in text:
        text += "=" * (-len(text) % 4)
    return text


def _int64(value: object, where: str) -> int:
    """Return an int64 from a number or a number in a string.

    1e2 and 1.0 are whole and accepted; from 2**53 on such spellings are refused, because they arrive rounded.
    """
    if value is None:
        return 0
    number = _number_in_string(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer() and abs(number) < LARGEST_EXACT_FLOAT:
        number = int(number)
    if type(number) is not int or not -(2**63) <= number < 2**63:  # a bool is an int to isinstance
        raise MalformedBody(f"{where} is not a 64-bit integer.")
    return number


def _number_in_string(text: str) -> object:
    if len(text) > LONGEST_NUMBER_IN_STRING or text != text.strip():
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


# Answers --------------------------------------------------------------------------------------------------------------


def write_payloads(payloads: Iterable[Payload]) -> bytes:
    """Return the protocol's answer: camelCase, standard padded base64, sizes as strings, empty fields left out.

    No payloads are `{}`, as Go answers.
    """
    items = [to_json(payload) for payload in payloads]
    return orjson.dumps({"payloads": items} if items else {})


def write_readable(payloads: Iterable[Payload]) -> bytes:
    """Return an answer for people: metadata as text, JSON data inline, the shape of the sample in Temporal's guide.

    JSON data stands there byte for byte, so that large numbers survive. Other data, and what calls itself JSON and is
    not, stays base64. Source: docs.temporal.io/production-deployment/data-encryption, sample request/response.
    """
    items = [to_readable(payload) for payload in payloads]
    return orjson.dumps({"payloads": items}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def to_json(payload: Payload) -> dict[str, object]:
    """Return the payload as it stands in answers."""
    entries = payload.metadata
    metadata = {name: _encode_base64(entries[name]) for name in entries}  # its items() is slow
    return _without_empty(metadata, _encode_base64(payload.data), payload)


def to_readable(payload: Payload) -> dict[str, object]:
    """Return the payload for people, to be written by orjson."""
    metadata = {name: _text(value) for name, value in payload.metadata.items()}
    return _without_empty(metadata, _readable_data(payload), payload)


def _without_empty(metadata: dict[str, str], data: object, payload: Payload) -> dict[str, object]:
    item: dict[str, object] = {}
    if metadata:
        item["metadata"] = metadata
    if data:
        item["data"] = data
    if payload.external_payloads:
        item["externalPayloads"] = [_external(each.size_bytes) for each in payload.external_payloads]
    return item


def _external(size_bytes: int) -> dict[str, str]:
    return {"sizeBytes": str(size_bytes)} if size_bytes else {}


def _readable_data(payload: Payload) -> object:
    data = payload.data
    if payload.metadata.get("encoding", b"").startswith(b"json/") and _is_json(data):
        return orjson.Fragment(data)
    return _encode_base64(data)


def _is_json(data: bytes) -> bool:
    if not is_modest(data, MAX_READABLE_SEPARATORS):
        return False
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _encode_base64(value)


def _encode_base64(value: bytes) -> str:
    return pybase64.b64encode_as_string(value)


# Namespace ------------------------------------------------------------------------------------------------------------


def read_namespace(header: str | None, path: str, *, has_authorization: bool) -> str:
    """Return the namespace that a request is about.

    The X-Namespace header decides whenever there is one. Only with a credential in Authorization may the path name it
    instead, in the segment before the verb (`/codec/payments/decode`): a browser's cookie goes to any path.
    Raises NamespaceMissing for none, and for what is no namespace name.
    """
    name = header
    if name is None and has_authorization:
        name = _segment_before_verb(path)
    if name is None or name == NO_NAMESPACE or not is_namespace_name(name):
        raise NamespaceMissing
    return name


def _segment_before_verb(path: str) -> str | None:
    segments = [segment for segment in path.split("/") if segment]
    return segments[-2] if len(segments) >= 2 else None
