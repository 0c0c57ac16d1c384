"""The permissions claim, read as Temporal's default claim mapper reads it."""

import pytest

from codec.callers.permissions import rights
from codec.callers.principal import Right

READ = {Right("payments", "decode")}
WRITE = READ | {Right("payments", "encode")}


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (["payments:read"], READ),
        (["payments:write"], WRITE),
        (["payments:worker"], WRITE),
        (["payments:admin"], WRITE),
        (["payments:READ"], READ),
        (["payments:Admin"], WRITE),
        (["payments:read", "payments:write"], WRITE),
        (["payments:read", "junk", 7, None, ["payments:admin"], {"payments": "admin"}], READ),
        (["myapp-dev.acctid123:read"], {Right("myapp-dev.acctid123", "decode")}),
        (["Payments:read"], {Right("Payments", "decode")}),
    ],
)
def test_entries_that_fit_give_rights(claim, expected):
    assert rights(claim) == expected


@pytest.mark.parametrize(
    "entry",
    [
        "payments",
        "payments:",
        ":read",
        "",
        ":",
        "payments:read:write",
        "payments:other",
        " payments:read",
        "payments :read",
        "payments: read",
        "payments:read ",
        "*:admin",
        "pay*:admin",
        "temporal-system:admin",
        "temporal-system:read",
    ],
)
def test_entries_that_do_not_fit_give_none(entry):
    assert rights([entry]) == frozenset()


@pytest.mark.parametrize("claim", [None, "payments:admin", {"payments:admin": 1}, 7, True, []])
def test_claim_that_is_no_list_gives_none(claim):
    assert rights(claim) == frozenset()


def test_no_claim_reaches_every_namespace():
    everything = rights(["temporal-system:admin", "*:admin", "None:admin", "payments:admin"])
    assert None not in {right.namespace for right in everything}
