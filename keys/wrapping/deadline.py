"""Calls that may hang for ever, into a library that knows no timeouts: in a thread of their own, one at a time."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")


class OneThread:
    """Makes calls one after the other in one thread, which starts with the first. A hung call keeps its thread."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._starting = Lock()

    def run(self, call: Callable[[], T], *, seconds: float) -> T:
        """Return what `call` returns. Raises what it raises, or TimeoutError; a call not yet begun is then dropped."""
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()
        future: Future[T] = Future()
        self._calls.put((future, call))
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def _work(self) -> None:
        while True:
            _make(*self._calls.get())


def _make(future: "Future[Any]", call: Callable[[], Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits for it
            future.set_exception(error)
