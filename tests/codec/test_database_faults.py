"""A database that takes no more records: no plaintext, 503, and recovery by itself."""

from itertools import islice

import pytest
from django.db import connection

from tests.conftest import PLAIN

# How to hurt and how to heal it, on the database of this run.
FAULTS = {
    "sqlite": {
        "full": ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823"),
        "read-only": ("PRAGMA query_only = 1", "PRAGMA query_only = 0"),
    },
    "postgresql": {
        "read-only": ("SET default_transaction_read_only = on", "SET default_transaction_read_only = off"),
    },
}[connection.vendor]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_decoded_until_the_database_takes_records_again(transactional_db, browser, encoded, fault):
    hurt, heal = FAULTS[fault]
    sql(hurt)
    try:
        answers = (browser.call("/decode", {"payloads": [encoded]}) for _ in range(500))
        refused = next(answer for answer in islice(answers, 500) if answer.status_code != 200)
    finally:
        sql(heal)
    assert refused.status_code == 503
    assert "payloads" not in refused.json()
    assert browser.call("/decode", {"payloads": [encoded]}).json() == {"payloads": [PLAIN]}


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
