"""Browsers that send this server no cookies from Temporal's site: noticed, so that the sign-in page can explain it.

With a request across sites that should carry cookies, a browser says whether it would send any
(`Sec-Fetch-Storage-Access`, Storage Access Headers; Chromium and Firefox). `none` together with a 401 means that
signing in again will not help. What was noticed stays in the memory of this process, for ten minutes, for a bounded
number of browsers.
"""

import threading
import time
from collections import OrderedDict

from django.http import HttpRequest

from codec.request_facts import client_address

_SECONDS = 600
_MOST = 1000
_MAX_TEXT = 256
_noticed: OrderedDict[tuple[str, str], float] = OrderedDict()  # (address, browser) -> when
_lock = threading.Lock()


def notice(request: HttpRequest) -> None:
    """Remember the browser of a codec request."""
    with _lock:
        _noticed[_browser(request)] = time.monotonic()
        _noticed.move_to_end(_browser(request))
        if len(_noticed) > _MOST:
            _noticed.popitem(last=False)


def was_noticed(request: HttpRequest) -> bool:
    """Say whether the browser of this request was noticed within the last ten minutes."""
    with _lock:
        at = _noticed.get(_browser(request))
    return at is not None and time.monotonic() - at < _SECONDS


def _browser(request: HttpRequest) -> tuple[str, str]:
    """Tell colleagues behind one address apart by what their browsers call themselves."""
    return client_address(request)[:_MAX_TEXT], request.headers.get("User-Agent", "")[:_MAX_TEXT]
