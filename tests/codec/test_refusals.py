"""Refusals before the caller is known: counted, and written once a minute."""

from django.test import Client

from codec import refusals
from keys.models import AuditRecord


def refuse(times: int = 1, *, address: str = "10.0.0.1") -> None:
    for _ in range(times):
        Client(REMOTE_ADDR=address).get("/decode")


def counted() -> list[tuple[str, str, int]]:
    records = AuditRecord.objects.filter(action="request:refused").order_by("id")
    return [(record.reason, record.address, record.details["count"]) for record in records]


def test_refusals_of_a_minute_are_one_record_per_reason_and_address(db, monkeypatch):
    monkeypatch.setattr(refusals, "_minute", lambda: 7)
    refuse(3)
    refuse(2, address="10.0.0.2")
    refusals.flush()
    assert counted() == [("method_not_allowed", "10.0.0.1", 3), ("method_not_allowed", "10.0.0.2", 2)]


def test_minute_that_is_not_over_is_not_written(db, monkeypatch):
    monkeypatch.setattr(refusals, "_minute", lambda: 7)
    refuse()
    refusals.flush(before=7)
    assert counted() == []


def test_count_is_written_once(db):
    refuse()
    refusals.flush()
    refusals.flush()
    assert len(counted()) == 1


def test_flood_of_addresses_costs_no_memory(db, monkeypatch):
    monkeypatch.setattr(refusals, "_MAX_COUNTERS", 3)
    for number in range(10):
        refuse(address=f"10.0.0.{number}")
    assert len(refusals._counts) <= 4
    assert sum(refusals._counts.values()) == 10


def test_unwritable_audit_changes_no_status_and_is_logged(audit_unwritable, caplog):
    assert Client().get("/decode").status_code == 405
    refusals.flush()
    assert "could not be recorded" in caplog.text


def test_known_caller_is_not_counted(mallorys_browser):
    mallorys_browser.call("/decode")
    assert not refusals._counts
