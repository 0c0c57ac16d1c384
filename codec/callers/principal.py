"""An authenticated caller."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one namespace. A namespace of None stands for every namespace."""

    namespace: str | None
    verb: str


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, a service among them, and what their credential says.

    `credential` names what was shown: its kind and the first 12 hex digits of its digest. `limits` are the rights
    beyond which this credential is worth nothing, however much its owner may (None: no limits). `claims` are rights
    that a trusted issuer's token brings with it, where the operator has switched that on. `until` is when the
    credential ends by itself: nothing that was decided for it holds from then on.
    """

    user_id: int
    username: str
    credential: str
    limits: frozenset[Right] | None = None
    claims: frozenset[Right] = frozenset()
    until: datetime | None = None
