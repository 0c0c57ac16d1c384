import pytest
from temporalio.api.common.v1 import Payload

from codec.payload_codec.errors import LimitExceeded, NotDecodable
from codec.payload_codec.serialized import MAX_FIELDS, check_fields, parse_payload

EMPTY_EXTERNAL_PAYLOAD = b"\x1a\x00"
LONG_DATA = b"\x12\x80\x20" + bytes(4096)


def test_serialized_payload_is_parsed():
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert parse_payload(payload.SerializeToString()) == payload


def test_bytes_that_are_no_payload_are_not_decodable():
    with pytest.raises(NotDecodable):
        parse_payload(b"\xff\xff")


def test_metadata_key_that_is_not_text_is_not_decodable():
    with pytest.raises(NotDecodable):
        parse_payload(b"\x0a\x03\x0a\x01\xff")


def test_large_payload_of_few_fields_passes():
    check_fields(LONG_DATA)


def test_as_many_fields_as_allowed_pass():
    check_fields(LONG_DATA + EMPTY_EXTERNAL_PAYLOAD * (MAX_FIELDS - 1))


def test_one_field_more_is_refused():
    with pytest.raises(LimitExceeded):
        check_fields(LONG_DATA + EMPTY_EXTERNAL_PAYLOAD * MAX_FIELDS)


@pytest.mark.parametrize(
    "field", [b"\x20\x80\x01", b"\x21" + bytes(8), b"\x25" + bytes(4)], ids=["varint", "fixed64", "fixed32"]
)
def test_unknown_fields_do_not_hide_the_others(field):
    with pytest.raises(LimitExceeded):
        check_fields(field * 10 + EMPTY_EXTERNAL_PAYLOAD * MAX_FIELDS)


@pytest.mark.parametrize(
    "end", [b"\x12", b"\x12\x80", b"\x23", b"\x12" + b"\x80" * 11], ids=["no length", "cut length", "group", "endless"]
)
def test_fields_that_cannot_be_told_apart_are_not_decodable(end):
    with pytest.raises(NotDecodable):
        check_fields(LONG_DATA + end)
