"""A PKCS#11 library in this process: loaded once, logged in once per token, started again after a failure.

What such a library keeps (slots, sessions, log-ins) belongs to the process, and python-pkcs11 starts it with
C_Initialize(NULL), which promises it that one thread calls at a time (PKCS#11 2.40, 5.4). So each library has one
thread that makes all its calls; a call that hangs costs its caller SECONDS. After a failure the library is ended
and started again, the only way to find a token that was away; all its sessions and handles are void then, and
handles of before may name other objects. `generation` counts the starts.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import pkcs11
from pkcs11.exceptions import PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked, PKCS11Error
from pkcs11.types import Session, Token

from keys.wrapping.base import KekUnavailable
from keys.wrapping.deadline import OneThread

if TYPE_CHECKING:
    from pkcs11 import _pkcs11  # a C extension that python-pkcs11 itself loads late

SECONDS = 5.0
_PIN_ERRORS = (PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked)
T = TypeVar("T")


class Library:
    """One PKCS#11 module. Everything but `ask` is for the function that `ask` runs."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = OneThread(f"pkcs11 {path}")
        self._sessions: dict[int, Session] = {}
        self._refused: set[tuple[bytes, str]] = set()
        self._failed = False
        self.generation = 0

    def ask(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, made in the library's thread. Raises KekUnavailable after SECONDS."""
        try:
            return self._thread.run(call, seconds=SECONDS)
        except TimeoutError as error:
            raise KekUnavailable(f"The PKCS#11 library {self._path} does not answer.") from error

    def session(self, *, label: str | None, serial: bytes | None, read_pin: Callable[[], str]) -> Session:
        """Return the logged-in session with a token. Raises KekUnavailable, PKCS11Error."""
        token = self._started().get_token(token_label=label, token_serial=serial)
        slot = token.slot.slot_id
        if slot not in self._sessions:
            self._sessions[slot] = self._log_in(token, read_pin())
        return self._sessions[slot]

    def reset(self) -> None:
        """Forget every session; the next one begins with a new start of the library."""
        self._sessions.clear()
        self._failed = True
        self.generation += 1

    def _started(self) -> "_pkcs11.lib":
        try:
            library = pkcs11.lib(self._path)
        except PKCS11Error as error:
            raise KekUnavailable(f"The PKCS#11 library {self._path} cannot be loaded and started.") from error
        if self._failed:
            library.reinitialize()
            self._failed = False
        return library

    def _log_in(self, token: Token, pin: str) -> Session:
        """A PIN that was refused is not tried again: tokens lock after a few wrong ones."""
        if (token.serial, pin) in self._refused:
            raise KekUnavailable(f"Token {token.label} has refused this PIN. It is not tried again until it changes.")
        try:
            return token.open(user_pin=pin)
        except _PIN_ERRORS as error:
            self._refused.add((token.serial, pin))
            raise KekUnavailable(f"Token {token.label} refuses the PIN: {type(error).__name__}.") from error


@cache
def library(path: str) -> Library:
    return Library(path)
