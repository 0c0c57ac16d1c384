import gzip
import tracemalloc
import zlib

import cramjam
import pytest
from temporalio.api.common.v1 import Payload

from codec.payload_codec.compression import BY_ENCODING, BY_STEP
from codec.payload_codec.errors import LimitExceeded, NotDecodable
from tests.codec.payload_codec.fixed_keys import HI

MIB = 1024 * 1024
LONG = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"hi" * 500 + b'"')
COMPRESS = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
}

each_step = pytest.mark.parametrize("step", COMPRESS)


@pytest.fixture(scope="module")
def zeros():
    return bytes(200_000_000)


@each_step
def test_encoded_data_is_the_compressed_serialized_payload(step):
    encoded = BY_STEP[step].encode(LONG)
    assert BY_STEP[step].decompress(encoded.data, MIB) == LONG.SerializeToString()


@each_step
def test_encoded_payload_says_its_encoding_and_nothing_else(step):
    assert dict(BY_STEP[step].encode(LONG).metadata) == {"encoding": f"binary/{step}".encode()}


@each_step
def test_payload_that_would_not_shrink_stays_itself(step):
    assert BY_STEP[step].encode(HI) is HI


@each_step
def test_encoding_leads_back_to_the_step(step):
    assert BY_ENCODING[f"binary/{step}".encode()] is BY_STEP[step]


def test_zlib_is_readable_by_any_inflater():
    assert zlib.decompress(BY_STEP["zlib"].encode(LONG).data) == LONG.SerializeToString()


def test_gzip_is_readable_by_any_gunzip():
    assert gzip.decompress(BY_STEP["gzip"].encode(LONG).data) == LONG.SerializeToString()


def test_gzip_does_not_tell_the_time():
    assert BY_STEP["gzip"].encode(LONG).data[4:8] == bytes(4)


def test_snappy_is_the_block_format():
    assert bytes(cramjam.snappy.decompress_raw(BY_STEP["snappy"].encode(LONG).data)) == LONG.SerializeToString()


@each_step
def test_exactly_the_limit_is_allowed(step):
    assert len(BY_STEP[step].decompress(COMPRESS[step](bytes(MIB)), MIB)) == MIB


@each_step
def test_one_byte_over_the_limit_is_refused(step):
    with pytest.raises(LimitExceeded):
        BY_STEP[step].decompress(COMPRESS[step](bytes(MIB + 1)), MIB)


@each_step
def test_spent_budget_allows_nothing(step):
    with pytest.raises(LimitExceeded):
        BY_STEP[step].decompress(COMPRESS[step](b"x"), 0)


@each_step
def test_bomb_of_200_mb_never_takes_more_than_the_limit_twice(step, zeros):
    bomb = COMPRESS[step](zeros)
    tracemalloc.start()
    with pytest.raises(LimitExceeded):
        BY_STEP[step].decompress(bomb, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * MIB


def test_snappy_length_over_the_limit_is_refused_unread():
    with pytest.raises(LimitExceeded):
        BY_STEP["snappy"].decompress(b"\xff\xff\xff\xff\x0f", MIB)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\x80\x80\x80\x80\x20", b"\x05\x0cabcd", b"\x03\x0cabcd", b"\x04\xfe"],
    ids=["empty", "cut length", "long varint", "over 4 GiB", "says more", "says less", "cut copy"],
)
def test_snappy_that_lies_is_not_decodable(data):
    with pytest.raises(NotDecodable):
        BY_STEP["snappy"].decompress(data, MIB)


@each_step
def test_empty_data_is_not_decodable(step):
    with pytest.raises(NotDecodable):
        BY_STEP[step].decompress(b"", MIB)


@each_step
def test_truncated_data_is_not_decodable(step):
    with pytest.raises(NotDecodable):
        BY_STEP[step].decompress(COMPRESS[step](b"hello hello hello")[:-1], MIB)


@each_step
def test_byte_after_the_end_is_not_decodable(step):
    with pytest.raises(NotDecodable):
        BY_STEP[step].decompress(COMPRESS[step](b"hello hello hello") + b"\0", MIB)


@pytest.mark.parametrize("step", ["zlib", "gzip"])
def test_wrong_checksum_is_not_decodable(step):
    data = bytearray(COMPRESS[step](b"hello"))
    data[-5 if step == "gzip" else -1] ^= 1
    with pytest.raises(NotDecodable):
        BY_STEP[step].decompress(bytes(data), MIB)


def test_second_gzip_member_is_not_decodable():
    with pytest.raises(NotDecodable):
        BY_STEP["gzip"].decompress(gzip.compress(b"one") + gzip.compress(b"two"), MIB)


def test_zlib_with_a_preset_dictionary_is_not_decodable():
    compressor = zlib.compressobj(zdict=b"hello")
    data = compressor.compress(b"hello") + compressor.flush()
    with pytest.raises(NotDecodable):
        BY_STEP["zlib"].decompress(data, MIB)


def test_gzip_called_zlib_is_not_decodable():
    with pytest.raises(NotDecodable):
        BY_STEP["zlib"].decompress(gzip.compress(b"hello"), MIB)
