"""Who did something, and from where: the subject of an audit record."""

import getpass
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    USER = "user"
    COMMAND = "command"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person, an operator at the command line, or nobody known; with the facts of the request, if there was one.

    `credential` names what was shown (its kind and a digest's prefix), never the credential itself.
    """

    kind: ActorKind
    id: str = ""
    name: str = ""
    credential: str = ""
    address: str = ""
    web_origin: str = ""
    user_agent: str = ""
    request_id: str = ""


def operator() -> Actor:
    """Return the actor of a management command: the operating system's user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # containers run under numbers that have no name
        name = f"uid {os.getuid()}"
    return Actor(kind=ActorKind.COMMAND, name=name)


_current: ContextVar[Callable[[], Actor] | None] = ContextVar("current_actor", default=None)


def set_current(find_actor: Callable[[], Actor] | None) -> None:
    """Say how to find who acts in this request, for writers that are not told (signals of Django's own models)."""
    _current.set(find_actor)


def current() -> Actor:
    """Return the actor of this request; outside of one, the operator."""
    find_actor = _current.get()
    return find_actor() if find_actor else operator()
