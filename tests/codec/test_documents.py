"""Where payloads are found in a document, and how they are put back."""

import orjson
import pytest

from codec.documents import Document

PAYLOAD = {"metadata": {"encoding": "YQ=="}, "data": "Yg=="}
NULL = {"metadata": {"encoding": "YmluYXJ5L251bGw="}}

FOUND = {
    "a payload": (PAYLOAD, 1),
    "a list": ([PAYLOAD, PAYLOAD], 2),
    "a request": ({"payloads": [PAYLOAD, NULL]}, 2),
    "a payload without data where one has to stand": ({"payloads": [NULL]}, 1),
    "data of null": ({"payloads": [{"metadata": {}, "data": None}]}, 1),
    "an encoded failure": ({"failure": {"encodedAttributes": NULL, "cause": {"encodedAttributes": PAYLOAD}}}, 2),
    "snake case": ({"encoded_attributes": NULL}, 1),
    "a memo": ({"memo": {"fields": {"note": PAYLOAD}}}, 1),
    "a memo of null, as the Web UI leaves it": ({"memo": {"fields": {"note": NULL}}}, 0),
    "a history": ({"events": [{"input": {"payloads": [PAYLOAD]}}, {"result": {"payloads": [PAYLOAD]}}]}, 2),
    "a map named payloads": ({"payloads": {"a": PAYLOAD}}, 1),
    "lists in lists": ([[[PAYLOAD]]], 1),
    "nothing": ({}, 0),
    "a text": ("payloads", 0),
    "null": (None, 0),
    "metadata of another kind": ({"metadata": {"a": 1}, "data": "b"}, 0),
    "data of another kind": ({"metadata": {"a": "b"}, "data": {"c": 1}}, 0),
    "a list for metadata": ({"metadata": ["a"], "data": "b"}, 0),
    "a payload inside a payload's place": ({"payloads": [{"metadata": {"a": {"payloads": [PAYLOAD]}}}]}, 1),
}


@pytest.mark.parametrize(("value", "number"), FOUND.values(), ids=FOUND.keys())
def test_payloads_are_found(value, number):
    assert len(Document(value).payloads) == number


def test_payloads_come_in_the_order_of_the_document():
    value = {"a": {"payloads": [PAYLOAD | {"data": "1"}, PAYLOAD | {"data": "2"}]}, "b": [PAYLOAD | {"data": "3"}]}
    value["c"] = {"x": PAYLOAD | {"data": "4"}, "encodedAttributes": PAYLOAD | {"data": "5"}}
    assert [each["data"] for each in Document(value).payloads] == ["1", "2", "3", "4", "5"]


def test_depth_costs_no_stack():
    value = PAYLOAD
    for _ in range(100_000):
        value = [value]
    assert Document(value).payloads == [PAYLOAD]


def test_replacements_stand_in_place():
    document = Document({"a": [PAYLOAD], "b": {"payloads": [PAYLOAD]}, "c": 1})
    document.fill(["first", "second"])
    assert orjson.loads(document.text()) == {"a": ["first"], "b": {"payloads": ["second"]}, "c": 1}


def test_replaced_root():
    document = Document(PAYLOAD)
    document.fill([{"x": 1}])
    assert orjson.loads(document.text()) == {"x": 1}


def test_number_of_replacements_must_match():
    with pytest.raises(ValueError, match="zip"):
        Document([PAYLOAD]).fill([])


def test_items_of_a_history_are_its_events():
    events = [
        {"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "input": {"payloads": [PAYLOAD]}},
        {"eventId": "2", "eventType": "WorkflowTaskScheduled"},
    ]
    items = Document({"events": events}).items()
    assert [(item.title, item.payloads) for item in items] == [
        ("1 Workflow execution started", 1),
        ("2 Workflowtaskscheduled", 0),
    ]


def test_items_of_a_list_are_its_elements():
    document = Document([PAYLOAD, PAYLOAD])
    document.fill(["a", "b"])
    assert [(item.title, item.text) for item in document.items()] == [("Part 1", '"a"'), ("Part 2", '"b"')]


@pytest.mark.parametrize("value", [PAYLOAD, {"payloads": [PAYLOAD]}, {"events": []}, [], "text"])
def test_anything_else_is_one_item(value):
    assert len(Document(value).items()) == 1


def test_payloads_are_named_after_their_events():
    started = {"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "input": [PAYLOAD, PAYLOAD]}
    assert Document({"events": [{}, started]}).titles() == ["1 Workflow execution started"] * 2


def test_payloads_beside_the_events_are_numbered():
    assert Document({"events": [PAYLOAD], "result": PAYLOAD}).titles() == ["Payload 1", "Payload 2"]


def test_single_payload_has_a_name():
    assert Document(PAYLOAD).titles() == ["Part 1"]
