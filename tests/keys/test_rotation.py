import pytest
from django.db import DatabaseError

from keys.models import KeyVersion
from keys.rotation import rotate_key
from tests.conftest import OPERATOR


def test_rotation_that_cannot_be_recorded_is_undone(payments, audit_unwritable):
    with pytest.raises(DatabaseError):
        rotate_key(payments, actor=OPERATOR, reason="test")
    assert payments.key_versions.get().is_primary


def test_decode_503(browser, encoded, audit_unwritable):
    response = browser.call("/decode", {"payloads": [encoded]})
    assert response.status_code == 503
