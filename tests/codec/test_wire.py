import base64
import json
from contextlib import suppress

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload, Payloads

from codec.errors import CodecError, MalformedBody, NamespaceMissing, TooLarge
from codec.wire import WireLimits, parse_payloads, read_namespace, write_payloads, write_readable

HI = Payload(metadata={"encoding": b"json/plain"}, data=b'"hi"')
HI_JSON = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImhpIg=="}

DEFAULT_LIMITS = WireLimits()
on_a_busy_machine = settings(deadline=None)


def parse(body: object, *, limits: WireLimits = DEFAULT_LIMITS, refuse_unknown_fields: bool = False) -> list[Payload]:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_payloads(body, limits=limits, refuse_unknown_fields=refuse_unknown_fields)


def parse_data(data: object) -> bytes:
    return parse({"payloads": [{"data": data}]})[0].data


def parse_metadata(metadata: object) -> dict[str, bytes]:
    return dict(parse({"payloads": [{"metadata": metadata}]})[0].metadata)


def parse_sizes(external_payloads: object) -> list[int]:
    payload = parse({"payloads": [{"externalPayloads": external_payloads}]})[0]
    return [each.size_bytes for each in payload.external_payloads]


# The request's list


@pytest.mark.parametrize("body", [{}, {"payloads": []}, {"payloads": None}], ids=["absent", "empty", "null"])
def test_no_payloads_is_an_empty_list(body):
    assert parse(body) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"payloads":""}',
        b'{"payloads":0}',
        b'{"payloads":false}',
        b"",
        b"  ",
        b"[]",
        b'"x"',
        b"null",
        b"1",
        b'{"payloads":{}}',
        b'{"payloads":"x"}',
        b'{"payloads":1}',
        b'{"a":',
    ],
)
def test_other_top_levels_are_malformed(body):
    with pytest.raises(MalformedBody):
        parse(body)


@pytest.mark.parametrize("element", [None, "hi", 1, True, [], {"data": 1}], ids=repr)
def test_element_that_is_no_payload_is_malformed(element):
    with pytest.raises(MalformedBody, match=r"^payloads\[1\]"):
        parse({"payloads": [HI_JSON, element]})


def test_empty_payload_is_a_payload():
    assert parse({"payloads": [{}]}) == [Payload()]


def test_payloads_keep_their_order():
    assert [each.data for each in parse({"payloads": [{"data": "YQ=="}, {"data": "Yg=="}]})] == [b"a", b"b"]


def test_pretty_printed_json_is_accepted():
    assert parse(json.dumps({"payloads": [HI_JSON]}, indent=2).encode()) == [HI]


def test_sample_request_of_temporals_guide_is_accepted():
    body = (
        b'{"payloads":[{"metadata":{"encoding":"anNvbi9wcm90b2J1Zg==","messageType":'
        b'"dGVtcG9yYWxfc2hvcC5vcmNoZXN0cmF0aW9ucy52MS5TdGFydFNob3BwaW5nQ2FydFJlcXVlc3Q="},"data":'
        b'"eyJjYXJ0SWQiOiJleGFtcGxlLWNhcnQiLCJzaG9wcGVySWQiOiJ5b3VyLXNob3BwZXItaWQtZXhhbXBsZSIsImVtYWlsIjoie'
        b'W91ci1lbWFpbEBkb21haW4uY29tIn0"}]}'
    )
    assert orjson.loads(parse(body)[0].data)["cartId"] == "example-cart"


# Base64


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("ImhpIg==", b'"hi"'),
        ("/+8=", b"\xff\xef"),
        ("_-8=", b"\xff\xef"),
        ("ImhpIg", b'"hi"'),
        ("_-8", b"\xff\xef"),
        ("ImhpIh==", b'"hi"'),
        ("", b""),
        (None, b""),
    ],
    ids=["standard", "plus, slash", "URL-safe", "unpadded", "URL-safe unpadded", "trailing bits", "empty", "null"],
)
def test_base64_is_accepted(text, data):
    assert parse_data(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "/-8=",
        "ImhpIg=",
        "ImhpIg===",
        "===",
        "====",
        "YQ==YQ==",
        "YQ==YQ",
        "AAAA====",
        "A",
        "ImhpI",
        "A===",
        "YQ==\n",
        "Im hpIg==",
        "\tYQ==",
        "YQ\r\n==",
        "YQ==x",
        "YQ.=",
        "é",
        "\0\0\0\0",
        1,
        1.5,
        True,
        {},
        [],
    ],
    ids=repr,
)
def test_base64_is_refused(text):
    with pytest.raises(MalformedBody, match=r"^payloads\[0\]\.data is not"):
        parse_data(text)


def test_escaped_slash_in_base64_is_accepted():
    assert parse(rb'{"payloads":[{"data":"\/+8="}]}')[0].data == b"\xff\xef"


# Metadata


@pytest.mark.parametrize(
    ("metadata", "entries"),
    [
        (None, {}),
        ({}, {}),
        ({"a": None, "b": ""}, {"a": b"", "b": b""}),
        ({"": "YQ=="}, {"": b"a"}),
        ({"a\0b": "AA=="}, {"a\0b": b"\0"}),
        ({"<é\u2028😀>": "YQ"}, {"<é\u2028😀>": b"a"}),
    ],
    ids=["null", "empty", "null value", "empty key", "NUL", "any text"],
)
def test_metadata_is_accepted(metadata, entries):
    assert parse_metadata(metadata) == entries


@pytest.mark.parametrize(
    "metadata", ["", 0, False, [], "x", 1, ["x"], True, {"a": 1}, {"a": []}, {"a": {}}, {"a": "?"}], ids=repr
)
def test_metadata_is_refused(metadata):
    with pytest.raises(MalformedBody, match=r"^payloads\[0\]\.metadata is not"):
        parse_metadata(metadata)


def test_escaped_field_name_is_the_field():
    assert parse(rb'{"\u0070ayloads":[{}]}') == [Payload()]


# External payloads


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("123", 123),
        (123, 123),
        (1e2, 100),
        ("1e2", 100),
        ("1.0", 1),
        (1.0, 1),
        (-1, -1),
        ("-0", 0),
        (2**63 - 1, 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        (None, 0),
    ],
    ids=repr,
)
def test_size_is_accepted(size, expected):
    assert parse_sizes([{"sizeBytes": size}]) == [expected]


@pytest.mark.parametrize(
    "size",
    [
        1.5,
        "1.5",
        " 1",
        "1 ",
        "",
        "x",
        "0x1",
        "01",
        "+1",
        "1_0",
        "\u0661",
        '"1"',
        "true",
        "NaN",
        True,
        False,
        2**63,
        str(2**63),
        -(2**63) - 1,
        1e19,
        "1e999",
        10**400,
        "9" * 5000,
        2.0**53,
        [],
        {},
    ],
    ids=lambda size: repr(size)[:20],
)
def test_size_is_refused(size):
    with pytest.raises(MalformedBody):
        parse_sizes([{"sizeBytes": size}])


def test_go_spelling_is_accepted():
    body = {"payloads": [{"external_payloads": [{"size_bytes": 512}]}]}
    assert parse(body)[0].external_payloads[0].size_bytes == 512


@pytest.mark.parametrize("items", [None, []], ids=["null", "empty"])
def test_no_external_payloads_is_an_empty_list(items):
    assert parse_sizes(items) == []


def test_external_payload_without_size_is_zero():
    assert parse_sizes([{}]) == [0]


@pytest.mark.parametrize("items", [{}, "", 0, False, "x", 1, True, [None], [1], ["1"]], ids=repr)
def test_external_payloads_are_refused(items):
    with pytest.raises(MalformedBody, match=r"payloads\[0\]\.externalPayloads"):
        parse_sizes(items)


# Duplicates and unknown fields


@pytest.mark.parametrize(
    "body",
    [
        b'{"payloads":[],"payloads":[{"data":"YQ=="}]}',
        b'{"payloads":[{"data":"Yg==","data":"YQ=="}]}',
        b'{"payloads":[{"data":null,"data":"YQ=="}]}',
    ],
)
def test_last_of_duplicate_keys_wins(body):
    assert parse(body)[0].data == b"a"


def test_last_of_duplicate_metadata_keys_wins():
    assert parse(b'{"payloads":[{"metadata":{"a":"Yg==","a":"YQ=="}}]}')[0].metadata["a"] == b"a"


def test_last_of_two_spellings_wins():
    assert (
        parse({"payloads": [{"externalPayloads": [{}], "external_payloads": [{"size_bytes": 2}]}]})[0]
        .external_payloads[0]
        .size_bytes
        == 2
    )


UNKNOWN_FIELDS = [
    {"payloads": [HI_JSON], "Payloads": []},
    {"payloads": [HI_JSON | {"@type": "x"}]},
    {"payloads": [HI_JSON | {"extra": {"deep": [1]}}]},
    {"payloads": [HI_JSON | {"externalPayloads": [{"claim": "x"}]}]},
]


@pytest.mark.parametrize("body", UNKNOWN_FIELDS)
def test_unknown_field_is_left_out_on_decode(body):
    assert parse(body)[0].data == HI.data


@pytest.mark.parametrize("body", UNKNOWN_FIELDS)
def test_unknown_field_is_refused_on_encode(body):
    with pytest.raises(MalformedBody, match="unknown field"):
        parse(body, refuse_unknown_fields=True)


def test_wrong_case_is_an_unknown_field():
    assert parse({"Payloads": [HI_JSON]}) == []


# JSON itself


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        b'{"payloads":[{"metadata":{"\xff":""}}]}',
        b'{"payloads":[{"metadata":{"\xed\xa0\x80":""}}]}',
        rb'{"payloads":[{"metadata":{"\ud800":""}}]}',
        rb'{"payloads":[{"metadata":{"\udc00\ud800":""}}]}',
        b'{"payloads":[{"metadata":{"a\x01":""}}]}',
        b'{"payloads":[],}',
        b'{"payloads":[]} x',
        b'{"payloads":[]}\0',
        b'{"payloads":[]/**/}',
        b'{"payloads":NaN}',
        b'{"payloads":-Infinity}',
        b'{"payloads":1e999}',
        b"{'payloads':[]}",
        b'{"payloads":[{"externalPayloads":[{"sizeBytes":01}]}]}',
        b'{"payloads":[{"externalPayloads":[{"sizeBytes":+1}]}]}',
        b'{"a":' * 20_000,
        b"[" * 20_000,
        b'{"payloads":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
    ids=lambda body: repr(body)[:40],
)
def test_json_is_refused(body):
    with pytest.raises(MalformedBody):
        parse(body)


def test_surrogate_pair_is_accepted():
    assert "😀" in parse(rb'{"payloads":[{"metadata":{"\ud83d\ude00":""}}]}')[0].metadata


def test_detail_says_where_json_breaks_off():
    with pytest.raises(MalformedBody, match=r"line 2, column 3\.$"):
        parse(b'{\n  payloads: "secret"}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"payloads":["canary"]}',
        b'{"payloads":[{"data":"canary!"}]}',
        b'{"payloads":[{"metadata":{"canary":1}}]}',
        b'{"payloads":[{"canary":1}]}',
        b'{"payloads":[{"externalPayloads":[{"sizeBytes":"canary"}]}]}',
        b'{"canary":',
    ],
)
def test_detail_never_repeats_the_request(body):
    with pytest.raises(CodecError) as raised:
        parse(body, refuse_unknown_fields=True)
    assert "canary" not in raised.value.detail


# Limits


def test_as_many_payloads_as_allowed_pass():
    assert len(parse({"payloads": [{}] * 3}, limits=WireLimits(max_payloads=3))) == 3


def test_one_payload_more_is_too_large():
    with pytest.raises(TooLarge, match="more than 3 payloads"):
        parse({"payloads": [{}] * 4}, limits=WireLimits(max_payloads=3))


def test_as_many_metadata_entries_as_allowed_pass():
    assert len(parse_metadata({str(number): "" for number in range(64)})) == 64


def test_one_metadata_entry_more_is_too_large():
    with pytest.raises(TooLarge, match=r"^payloads\[0\]\.metadata has more than 64"):
        parse_metadata({str(number): "" for number in range(65)})


def test_as_many_external_payloads_as_allowed_pass():
    assert len(parse_sizes([{}] * 64)) == 64


def test_one_external_payload_more_is_too_large():
    with pytest.raises(TooLarge, match=r"^payloads\[0\]\.externalPayloads has more than 64"):
        parse_sizes([{}] * 65)


def test_full_request_within_the_limits_passes():
    payload = {"metadata": {f"key-{number:028}": "YQ==" for number in range(64)}}
    payload["externalPayloads"] = [{"sizeBytes": "1"}] * 64
    assert len(parse({"payloads": [payload] * 2000})) == 2000


@pytest.mark.parametrize(
    "value",
    [b"{}," * 600_000 + b"1", (b"[" * 1000 + b"]" * 1000 + b",") * 600 + b"1", b"1," * 600_000 + b"1"],
    ids=["objects", "nested lists", "numbers"],
)
def test_body_of_countless_values_is_too_large_before_it_is_parsed(value):
    with pytest.raises(TooLarge, match="JSON values"):
        parse(b'{"unknown":[' + value + b"]}")


# Answers


def test_answer_has_the_protocols_shape():
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"hi"')
    payload.external_payloads.add(size_bytes=123456789012)
    assert orjson.loads(write_payloads([payload])) == {
        "payloads": [HI_JSON | {"externalPayloads": [{"sizeBytes": "123456789012"}]}]
    }


def test_answer_has_no_whitespace():
    assert write_payloads([HI]) == b'{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"ImhpIg=="}]}'


def test_empty_fields_are_left_out():
    assert write_payloads([Payload()]) == b'{"payloads":[{}]}'


def test_empty_metadata_value_stays():
    assert write_payloads([Payload(metadata={"a": b""})]) == b'{"payloads":[{"metadata":{"a":""}}]}'


def test_size_zero_is_left_out():
    payload = Payload()
    payload.external_payloads.add()
    assert write_payloads([payload]) == b'{"payloads":[{"externalPayloads":[{}]}]}'


def test_no_payloads_are_an_empty_object():
    assert write_payloads([]) == b"{}"


def test_answer_uses_the_standard_alphabet_and_padding():
    assert b'"+/8="' in write_payloads([Payload(data=b"\xfb\xff")])


# Readable answers


def readable(**fields: object) -> dict[str, object]:
    return orjson.loads(write_readable([Payload(**fields)]))["payloads"][0]


def test_readable_answer_has_the_shape_of_temporals_guide():
    metadata = {"encoding": b"json/protobuf", "messageType": b"shop.v1.Cart"}
    assert readable(metadata=metadata, data=b'{"cartId":"example"}') == {
        "metadata": {"encoding": "json/protobuf", "messageType": "shop.v1.Cart"},
        "data": {"cartId": "example"},
    }


def test_readable_json_keeps_every_digit():
    data = b'{"n":12345678901234567890123,"f":1.10}'
    assert data in write_readable([Payload(metadata={"encoding": b"json/plain"}, data=data)])


@pytest.mark.parametrize("data", [b"null", b"false", b"0", b'""'])
def test_readable_json_may_be_anything(data):
    assert readable(metadata={"encoding": b"json/plain"}, data=data)["data"] == orjson.loads(data)


@pytest.mark.parametrize("encoding", [b"binary/plain", b"binary/encrypted", b"", b"\xff"])
def test_readable_binary_stays_base64(encoding):
    assert readable(metadata={"encoding": encoding}, data=b'"hi"')["data"] == "ImhpIg=="


@pytest.mark.parametrize("data", [b"{", b"\xff", b"{} {}", b"NaN", b"[" * 5000 + b"]" * 5000, b"[" + b"{}," * 300_000])
def test_readable_data_that_is_not_json_stays_base64(data):
    assert readable(metadata={"encoding": b"json/plain"}, data=data)["data"] == base64.b64encode(data).decode()


def test_readable_metadata_that_is_not_text_stays_base64():
    assert readable(metadata={"nonce": b"\xff\xfe"})["metadata"] == {"nonce": "//4="}


def test_readable_payload_without_data_has_none():
    assert readable(metadata={"encoding": b"binary/null"}) == {"metadata": {"encoding": "binary/null"}}


# Any bytes, any payload

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["ImhpIg==", "_-8", "1"])
)
names = st.sampled_from(["payloads", "metadata", "data", "externalPayloads", "size_bytes", "sizeBytes"]) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=20)
bodies = st.builds(lambda item: json.dumps({"payloads": [item]}).encode(), values)


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    metadata = draw(st.dictionaries(st.text(max_size=20), st.binary(max_size=50), max_size=5))
    payload = Payload(metadata=metadata, data=draw(st.binary(max_size=500)))
    for size in draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)):
        payload.external_payloads.add(size_bytes=size)
    return payload


@on_a_busy_machine
@given(body=st.binary() | bodies, refuse_unknown_fields=st.booleans())
def test_any_body_is_parsed_or_refused_as_a_codec_error(body, refuse_unknown_fields):
    with suppress(CodecError):
        parse(body, refuse_unknown_fields=refuse_unknown_fields)


@on_a_busy_machine
@given(items=st.lists(payloads(), max_size=5))
def test_written_payloads_are_parsed_again(items):
    assert parse(write_payloads(items), refuse_unknown_fields=True) == items


@on_a_busy_machine
@given(items=st.lists(payloads(), max_size=5))
def test_written_payloads_are_strict_protojson(items):
    assert list(json_format.Parse(write_payloads(items), Payloads()).payloads) == items


@on_a_busy_machine
@given(items=st.lists(payloads(), max_size=5))
def test_protojson_is_parsed(items):
    assert parse(json_format.MessageToJson(Payloads(payloads=items)).encode()) == items


@on_a_busy_machine
@given(items=st.lists(payloads(), max_size=5))
def test_any_payload_has_a_readable_answer(items):
    assert len(orjson.loads(write_readable(items))["payloads"]) == len(items)


# Namespace


@pytest.mark.parametrize("path", ["/decode", "/other/decode", "//decode"])
def test_header_names_the_namespace(path):
    assert read_namespace("payments", path, has_authorization=True) == "payments"


@pytest.mark.parametrize("name", ["a", "9", "default", "my_app-dev.acct123", "a" * 255])
def test_namespace_name_is_accepted(name):
    assert read_namespace(name, "/decode", has_authorization=False) == name


@pytest.mark.parametrize(
    "name", ["", "undefined", " a", "a ", "a\n", "-a", ".", "..", "a,b", "a/b", "a%2fb", "é", "a\0", "a" * 256]
)
def test_namespace_name_is_refused(name):
    with pytest.raises(NamespaceMissing):
        read_namespace(name, "/payments/decode", has_authorization=True)


@pytest.mark.parametrize("path", ["/payments/decode", "//payments//decode", "/codec/v1/payments/encode"])
def test_path_names_the_namespace_beside_a_credential(path):
    assert read_namespace(None, path, has_authorization=True) == "payments"


def test_path_names_nothing_for_a_cookie():
    with pytest.raises(NamespaceMissing):
        read_namespace(None, "/payments/decode", has_authorization=False)


@pytest.mark.parametrize(
    "path", ["/decode", "//decode", "/undefined/decode", "/../decode", "/pay ments/decode", "/", ""]
)
def test_path_without_a_namespace_is_refused(path):
    with pytest.raises(NamespaceMissing):
        read_namespace(None, path, has_authorization=True)
