"""The logbook that the benchmark makes is one that this server could have written."""

import pytest

from bench.audit_fill import fill
from keys.models import AuditRecord
from keys.review import viewings
from keys.review.models import Viewing
from keys.verification import Finding, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(monkeypatch) -> None:
    monkeypatch.setattr("bench.audit_fill.DAYS", 3)
    fill(600)


def test_it_verifies(filled):
    assert [found for found in verify() if isinstance(found, Finding)] == []


def test_every_request_is_in_a_viewing(filled):
    viewings.refresh()
    requests = sum(Viewing.objects.values_list("requests", flat=True))
    assert requests == AuditRecord.objects.filter(action__startswith="payload:").count() >= 600
