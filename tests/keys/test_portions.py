"""On SQLite the writers of one process take turns, so that none of them polls for the lock."""

import threading
import time

import pytest
from django.db import connection

from keys.models import Namespace
from keys.portions import portion, turn


def test_second_waits_for_the_first_on_sqlite_alone(transactional_db):
    entered, leave, second = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with turn():
            entered.set()
            leave.wait(10)

    def another() -> None:
        with turn():
            second.set()

    threads = [threading.Thread(target=first), threading.Thread(target=another)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    assert second.wait(0.3) is (connection.vendor != "sqlite")
    leave.set()
    assert second.wait(10)
    for thread in threads:
        thread.join()


def test_failed_portion_is_rolled_back_and_gives_its_turn_back(transactional_db, payments):
    def fail() -> None:
        with portion():
            Namespace.objects.filter(pk=payments.pk).update(history_retention_days=3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with portion():
        found = Namespace.objects.get(pk=payments.pk)
    assert found.history_retention_days == payments.history_retention_days


def test_portion_leaves_others_time_on_sqlite(transactional_db):
    with portion():
        end = time.monotonic()
    paused = time.monotonic() - end
    assert (paused >= 0.02) is (connection.vendor == "sqlite")
