"""No busy retrying: a provider that has just failed is left alone for a while."""

import time
from collections.abc import Callable
from typing import TypeVar

from keys.wrapping.base import Binding, KekDenied, KekProvider, KekUnavailable

SECONDS = 5.0
T = TypeVar("T")


class Cooldown:
    """KekProvider around another. For SECONDS after it was unavailable, calls fail at once and do not reach it.

    So a KMS that is away costs one request its timeout, not every request. A key that is refused, because it is
    damaged or because the KMS denies this namespace, does not count: it says nothing about the next one.
    """

    def __init__(self, provider: KekProvider, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._provider = provider
        self._clock = clock
        self._failure: tuple[str, float] = ("", clock())

    def primary_id(self) -> str:
        return self._ask(self._provider.primary_id)

    def holds(self, kek_id: str) -> bool:
        return self._ask(lambda: self._provider.holds(kek_id))

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        return self._ask(lambda: self._provider.wrap(data_key, binding))

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        return self._ask(lambda: self._provider.unwrap(kek_id, wrapped, binding))

    def _ask(self, call: Callable[[], T]) -> T:
        message, until = self._failure
        if self._clock() < until:
            raise KekUnavailable(f"{message} It is asked again in {SECONDS:.0f} seconds at most.")
        try:
            return call()
        except KekDenied:
            raise
        except KekUnavailable as error:
            self._failure = (str(error), self._clock() + SECONDS)
            raise
