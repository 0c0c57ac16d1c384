"""An asyncio event loop in a thread, so that plain synchronous code can run the UI proxy and the Worker beside it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines for synchronous callers, from any thread but its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T], *, patience: float = 60.0) -> T:
        """Run `work` to its end and return its result. Raises TimeoutError after `patience` seconds."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(patience)


@contextmanager
def background_loop() -> Iterator[BackgroundLoop]:
    """Keep an event loop running in a thread until the block ends."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=asyncio.run, args=[_until_stopped(started)], name="background-loop", daemon=True)
    thread.start()
    loop, stop = started.result()
    try:
        yield BackgroundLoop(loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _until_stopped(started: "Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
    stop = asyncio.Event()
    started.set_result((asyncio.get_running_loop(), stop))
    await stop.wait()
