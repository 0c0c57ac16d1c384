"""What a successful answer rested on, for the front layer to remember."""

from dataclasses import dataclass
from datetime import datetime

from codec.authorization import Allowed
from codec.callers.principal import Principal
from keys.actor import Actor
from keys.models import Namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """`epoch` is the policy epoch that it was given under; under another one it is worth nothing."""

    epoch: int
    principal: Principal
    actor: Actor
    namespace: Namespace
    allowed: Allowed
    encodes: bool
    readable: bool

    @property
    def until(self) -> datetime | None:
        """The earliest end of the credential and of what allows; None when neither has one."""
        ends = [moment for moment in (self.principal.until, self.allowed.until) if moment is not None]
        return min(ends, default=None)
