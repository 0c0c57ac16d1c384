import pytest

from codec.browser_name import browser_name

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", "Firefox on Linux"),
        (f"{WINDOWS} {WEBKIT} Chrome/156.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {WEBKIT} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0", "Edge on Windows"),
        (f"{MAC} {WEBKIT} Chrome/156.0.0.0 Safari/537.36 OPR/120.0", "Opera on macOS"),
        (f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.2 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/156.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 26_2 like Mac OS X) CriOS/156.0 Safari/604.1", "Chrome on iPhone"),
        ("Firefox/153.0", "Firefox"),
        ("curl/8.5.0", ""),
        ("", ""),
    ],
)
def test_browser_is_called_what_people_call_it(user_agent, name):
    assert browser_name(user_agent) == name
