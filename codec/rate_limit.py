"""A bound on requests per caller: a token bucket per user, in this process."""

import time
from collections import OrderedDict
from threading import Lock

from django.conf import settings

from codec.callers.principal import Principal

_MAX_CALLERS = 10_000
_buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()  # user id -> (tokens, time of the last request)
_lock = Lock()


def admit(principal: Principal) -> bool:
    """Take one token of the caller's bucket, which holds and refills CODEC_REQUESTS_PER_MINUTE; False when empty."""
    return take(principal.user_id, capacity())


def capacity() -> float:
    return float(settings.CODEC_REQUESTS_PER_MINUTE)


def take(user_id: int, capacity: float) -> bool:
    """Do the same for a caller and a capacity that are at hand."""
    now = time.monotonic()
    with _lock:
        tokens, last = _buckets.pop(user_id, (capacity, now))
        tokens = min(capacity, tokens + (now - last) * capacity / 60)
        _buckets[user_id] = (max(tokens - 1, 0.0), now)
        if len(_buckets) > _MAX_CALLERS:
            _buckets.popitem(last=False)
    return tokens >= 1
