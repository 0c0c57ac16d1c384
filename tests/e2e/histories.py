"""Histories as `temporal workflow show -o json` prints them, of any size, encrypted by the real codec."""

import json
import secrets
from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from codec.payload_codec.chain import Encoder

_ROUND = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
)


def history(encoder: Encoder, *, size: int) -> str:
    """Return a history of at least `size` characters: a workflow that runs one activity after the other.

    The text of payload number n, counted from 1, begins with "payload n.".
    """
    events, length = [], 0
    for event in _events(encoder):
        events.append(json.dumps(MessageToDict(event), indent=1))
        length += len(events[-1]) + 2
        if length >= size:
            break
    return '{"events": [' + ",\n".join(events) + "]}"


def _events(encoder: Encoder) -> Iterator[HistoryEvent]:
    event_id, payloads = 0, _payloads(encoder)
    while True:
        for kind in _ROUND:
            event_id += 1
            event = HistoryEvent(event_id=event_id, event_type=kind, task_id=1_048_576 + event_id)
            event.event_time.FromSeconds(1_790_000_000 + event_id)
            if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                event.activity_task_scheduled_event_attributes.activity_id = str(event_id)
                event.activity_task_scheduled_event_attributes.input.payloads.append(next(payloads))
            elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                event.activity_task_completed_event_attributes.result.payloads.append(next(payloads))
            yield event


def _payloads(encoder: Encoder) -> Iterator[Payload]:
    """Yield payloads of 3 kB that no compression makes smaller."""
    number = 0
    while True:
        number += 1
        text = json.dumps(f"payload {number}. {secrets.token_urlsafe(2250)}")
        yield encoder.encode(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))
