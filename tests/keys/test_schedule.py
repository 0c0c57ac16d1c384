"""A chore of a serving process comes again, whatever became of it the last time."""

import threading

from keys import schedule
from keys.errors import KeysError


def test_chore_runs_again_after_a_failure(caplog):
    failures, third = iter([OSError("disk"), KeysError("KEK")]), threading.Event()

    def chore() -> None:
        for failure in failures:
            raise failure
        third.set()
        threading.Event().wait()  # until the process ends

    schedule.every(0.001, chore, name="a chore")
    assert third.wait(10)
    assert [record.message for record in caplog.records] == ["a chore failed"] * 2
