"""Whose address stands in the record: forwarded ones count only through trusted proxies."""

import pytest
from django.test import RequestFactory

from codec.request_facts import client_address


def address(forwarded: str | None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().post("/decode", headers=headers, REMOTE_ADDR="10.9.9.9"))


@pytest.mark.parametrize("forwarded", [None, "1.1.1.1", "1.1.1.1, 2.2.2.2"])
def test_without_trusted_proxy_the_header_is_ignored(settings, forwarded):
    settings.CODEC_TRUSTED_PROXIES = 0
    assert address(forwarded) == "10.9.9.9"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (1, "2.2.2.2", "2.2.2.2"),
        (1, "6.6.6.6, 2.2.2.2", "2.2.2.2"),
        (2, "6.6.6.6, 2.2.2.2, 3.3.3.3", "2.2.2.2"),
        (2, "3.3.3.3", "10.9.9.9"),
        (1, "", "10.9.9.9"),
        (1, None, "10.9.9.9"),
    ],
)
def test_each_trusted_proxy_counts_from_the_right(settings, proxies, forwarded, expected):
    settings.CODEC_TRUSTED_PROXIES = proxies
    assert address(forwarded) == expected
