"""Does the KEK work? `serve`, the admin's start page and `check --deploy` ask."""

import base64

import pytest

from keys import selftest
from keys.errors import VaultUnavailable
from keys.selftest import check_kek

BROKEN_RINGS = {
    "missing": None,
    "empty": "",
    "garbage": "garbage",
    "short": f"kek {base64.b64encode(b'short').decode()}",
    "zero": f"kek {base64.b64encode(bytes(32)).decode()}",
}


@pytest.fixture(params=BROKEN_RINGS.values(), ids=BROKEN_RINGS)
def broken_kek(request, settings, tmp_path) -> None:
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    if request.param is not None:
        (tmp_path / "kek").write_text(request.param)
        (tmp_path / "kek").chmod(0o600)


def test_working_kek_passes():
    check_kek()


def test_broken_kek_is_found(broken_kek):
    with pytest.raises(VaultUnavailable):
        check_kek()


def test_kek_that_gives_back_another_key_is_found(monkeypatch):
    class Forgetful:
        wrap = staticmethod(lambda data_key, binding: ("kek", b"wrapped"))
        unwrap = staticmethod(lambda kek_id, wrapped, binding: bytes(32))

    monkeypatch.setattr(selftest, "provider", lambda uri: Forgetful())
    with pytest.raises(VaultUnavailable, match="give back"):
        check_kek()
