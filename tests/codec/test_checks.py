"""System checks: each dangerous configuration has an id, and a sound one has none."""

import pytest
from django.core.management import CommandError

from tests.commands import failed_checks, manage

SOUND_HTTPS = {
    "CODEC_PUBLIC_URL": "https://codec.example.com",
    "HTTPS": True,
    "LOOPBACK": False,
    "ALLOWED_HOSTS": ["codec.example.com"],
    "CODEC_UI_ORIGINS": ["https://temporal.example.com"],
    "CODEC_TRUSTED_PROXIES": 1,
}
OPEN_HTTP = {"CODEC_PUBLIC_URL": "http://codec.example.com", "LOOPBACK": False, "ALLOWED_HOSTS": ["codec.example.com"]}


@pytest.fixture
def configure(settings, db):
    """Return a function that sets settings, and gives the ids of this project's checks that fail then."""

    def found(**values) -> set[str]:
        for name, value in values.items():
            setattr(settings, name, value)
        return {check for check in failed_checks() if check.startswith("codec.")}

    return found


@pytest.fixture
def certificate(tmp_path) -> str:
    (tmp_path / "certificate.pem").touch()
    return str(tmp_path / "certificate.pem")


@pytest.mark.parametrize(
    "sound",
    [
        {},
        SOUND_HTTPS,
        SOUND_HTTPS | {"CODEC_UI_ORIGINS": ["https://cloud.temporal.io", "http://localhost:8080"]},
        SOUND_HTTPS | {"ALLOWED_HOSTS": ["codec.example.com", "codec.internal"]},
        {"CODEC_WEBHOOK_URL": "https://chat.example.com/hook"},
        {"CODEC_WEBHOOK_URL": "http://127.0.0.1:9000/hook"},
        {"EMAIL_HOST": "mail.example.com", "EMAIL_USE_TLS": True},
        {"EMAIL_HOST": "mail.example.com", "EMAIL_USE_SSL": True},
        {"EMAIL_HOST": "localhost"},
        {"CODEC_PUBLIC_URL": "http://127.0.0.1:8888", "CODEC_UI_ORIGINS": ["http://127.0.0.1:8233", "http://[::1]:1"]},
    ],
)
def test_sound_configuration_has_no_finding(configure, sound):
    assert configure(**sound) == set()


@pytest.mark.parametrize(
    ("dangerous", "check"),
    [
        (OPEN_HTTP, "codec.E001"),
        ({"CODEC_UI_ORIGINS": []}, "codec.E002"),
        ({"CODEC_UI_ORIGINS": ["http://temporal.example.com"]}, "codec.E003"),
        ({"CODEC_UI_ORIGINS": ["https://temporal.example.com", "http://10.0.0.1:8080"]}, "codec.E003"),
        ({"CODEC_UI_ORIGINS": ["http://localhost.example.com"]}, "codec.E003"),
        ({"ALLOWED_HOSTS": ["*"]}, "codec.E004"),
        ({"ALLOWED_HOSTS": ["localhost", ".example.com"]}, "codec.E004"),
        ({"ALLOWED_HOSTS": []}, "codec.E005"),
        (SOUND_HTTPS | {"ALLOWED_HOSTS": ["example.com"]}, "codec.E005"),
        ({"CODEC_TLS_CERTIFICATE": "/certificate.pem"}, "codec.E006"),
        ({"CODEC_TLS_PRIVATE_KEY": "/key.pem"}, "codec.E006"),
        ({"CODEC_TLS_CERTIFICATE": "/nowhere", "CODEC_TLS_PRIVATE_KEY": "/nowhere"}, "codec.E007"),
        (SOUND_HTTPS | {"CODEC_TRUSTED_PROXIES": 0}, "codec.E008"),
        ({"CODEC_WEBHOOK_URL": "http://chat.example.com/hook"}, "codec.E030"),
        ({"CODEC_WEBHOOK_URL": "file:///etc/passwd"}, "codec.E030"),
        ({"EMAIL_HOST": "mail.example.com"}, "codec.W030"),
    ],
)
def test_dangerous_configuration_is_found(configure, dangerous, check):
    assert configure(**dangerous) == {check}


def test_own_certificate_needs_no_proxy(configure, certificate):
    tls = {"CODEC_TLS_CERTIFICATE": certificate, "CODEC_TLS_PRIVATE_KEY": certificate}
    assert configure(**SOUND_HTTPS | tls | {"CODEC_TRUSTED_PROXIES": 0}) == set()


def test_missing_private_key_is_found_beside_a_certificate(configure, certificate):
    tls = {"CODEC_TLS_CERTIFICATE": certificate, "CODEC_TLS_PRIVATE_KEY": "/nowhere"}
    assert configure(**SOUND_HTTPS | tls) == {"codec.E007"}


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_folder_that_others_can_look_into_is_found(configure, tmp_path, mode):
    tmp_path.chmod(mode)
    assert configure(CODEC_VAR=tmp_path) == {"codec.W001"}


def test_folder_of_its_owner_alone_is_sound(configure, tmp_path):
    tmp_path.chmod(0o700)
    assert configure(CODEC_VAR=tmp_path) == set()


def test_folder_that_is_not_there_is_sound(configure, tmp_path):
    assert configure(CODEC_VAR=tmp_path / "nowhere") == set()


def test_error_stops_the_check_command_with_its_hint(configure):
    configure(CODEC_UI_ORIGINS=[])
    with pytest.raises(CommandError, match=r"(?s)codec\.E002.*HINT: Name the origin"):
        manage("check")
