"""Settings as a new process reads them from its environment."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json
from codecsite import settings
print(json.dumps({name: getattr(settings, name) for name in dir(settings) if name.isupper()}, default=str))
"""
HTTPS = {
    "CODEC_PUBLIC_URL": "https://codec.example.com",
    "CODEC_UI_ORIGINS": "https://temporal.example.com",
    "CODEC_TRUSTED_PROXIES": "1",
}


@pytest.fixture
def start(tmp_path):
    """Return a function that starts Python with these settings, and no others, and runs `code`."""

    def run(code: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        surroundings = {"PATH": os.environ["PATH"], "CODEC_VAR": str(tmp_path / "var"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-W", "error", "-c", code]
        return subprocess.run(
            command, env=surroundings | environment, capture_output=True, text=True, check=False, timeout=30
        )

    return run


@pytest.fixture
def read(start):
    """Return a function that gives the settings under an environment."""

    def settings(**environment: str) -> dict[str, Any]:
        done = start(SHOW, environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return settings


@pytest.fixture
def refusal(start):
    """Return a function that gives the last line of what a process prints that refuses its environment."""

    def last_line(**environment: str) -> str:
        done = start("import codecsite.settings", environment)
        assert done.returncode != 0
        assert "hidden" not in done.stderr.lower()
        return done.stderr.splitlines()[-1]

    return last_line


# Defaults -------------------------------------------------------------------------------------------------------------


def test_defaults_serve_this_machine_alone(read):
    settings = read()
    assert settings["CODEC_PUBLIC_URL"] == "http://localhost:8888"
    assert settings["CODEC_BIND"] == "127.0.0.1"
    assert set(settings["ALLOWED_HOSTS"]) == {"localhost", "127.0.0.1", "[::1]"}
    assert settings["CODEC_UI_ORIGINS"] == ["http://localhost:8233", "http://localhost:8080"]


def test_defaults_are_secure(read):
    settings = read()
    assert settings["DEBUG"] is False
    assert settings["SESSION_COOKIE_SECURE"] is settings["SESSION_COOKIE_HTTPONLY"] is True
    assert settings["SESSION_COOKIE_SAMESITE"] == settings["CSRF_COOKIE_SAMESITE"] == "Lax"
    assert settings["CODEC_TRUSTED_PROXIES"] == 0
    assert "SECURE_PROXY_SSL_HEADER" not in settings


def test_everything_that_is_kept_lies_in_codec_var(read, tmp_path):
    settings = read()
    assert settings["CODEC_KEK"] == f"local:{tmp_path}/var/kek"
    assert settings["DATABASES"]["default"]["NAME"] == f"{tmp_path}/var/db.sqlite3"
    assert settings["SECRET_KEY"] == (tmp_path / "var" / "django_secret_key").read_text()
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_secret_key_is_kept_between_starts(read):
    assert read()["SECRET_KEY"] == read()["SECRET_KEY"]


def test_sqlite_commits_to_disk(read):
    options = read()["DATABASES"]["default"]["OPTIONS"]
    assert "journal_mode=WAL" in options["init_command"]
    assert "synchronous=FULL" in options["init_command"]


# https ----------------------------------------------------------------------------------------------------------------


def test_https_means_redirect_and_hsts(read):
    settings = read(**HTTPS)
    assert settings["SECURE_SSL_REDIRECT"] is True
    assert settings["SECURE_HSTS_SECONDS"] == 31536000
    assert settings["SECURE_HSTS_INCLUDE_SUBDOMAINS"] is settings["SECURE_HSTS_PRELOAD"] is True


def test_https_server_answers_its_own_name_alone(read):
    assert read(**HTTPS)["ALLOWED_HOSTS"] == ["codec.example.com"]


def test_https_server_has_no_default_ui_origins(read):
    assert read(**HTTPS | {"CODEC_UI_ORIGINS": ""})["CODEC_UI_ORIGINS"] == []


def test_http_never_leaves_this_machine(read):
    assert read(CODEC_BIND="0.0.0.0")["CODEC_BIND"] == "127.0.0.1"


def test_server_behind_a_proxy_listens_to_this_machine_unless_told_otherwise(read):
    assert read(**HTTPS)["CODEC_BIND"] == "127.0.0.1"
    assert read(**HTTPS, CODEC_BIND="10.0.0.7")["CODEC_BIND"] == "10.0.0.7"


def test_forwarded_protocol_counts_only_behind_a_trusted_proxy(read):
    assert read(**HTTPS)["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert "SECURE_PROXY_SSL_HEADER" not in read(**HTTPS | {"CODEC_TRUSTED_PROXIES": "0"})


def test_cross_site_cookies_loosen_the_session_cookie_alone(read):
    settings = read(CODEC_CROSS_SITE_COOKIES="1")
    assert (settings["SESSION_COOKIE_SAMESITE"], settings["CSRF_COOKIE_SAMESITE"]) == ("None", "Lax")
    assert settings["SESSION_COOKIE_SECURE"] is True


# Given values ---------------------------------------------------------------------------------------------------------


def test_port_is_part_of_the_default_url(read):
    assert read(PORT="9000")["CODEC_PUBLIC_URL"] == "http://localhost:9000"


def test_slash_after_the_public_url_is_forgiven(read):
    assert read(CODEC_PUBLIC_URL="http://localhost:9000/")["CODEC_PUBLIC_URL"] == "http://localhost:9000"


def test_cors_allows_exactly_the_ui_origins(read):
    settings = read(CODEC_UI_ORIGINS="http://localhost:1, http://localhost:2,")
    assert settings["CORS_ALLOWED_ORIGINS"] == ["http://localhost:1", "http://localhost:2"]
    assert not {"CORS_ALLOW_ALL_ORIGINS", "CORS_ALLOWED_ORIGIN_REGEXES"} & settings.keys()


def test_database_url_names_a_postgresql_database(read):
    database = read(DATABASE_URL="postgresql://codec:pass%23word@db.example.com:5433/codec")["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example.com", 5433, "codec")
    assert (database["USER"], database["PASSWORD"]) == ("codec", "pass#word")


@pytest.mark.parametrize(
    ("name", "content", "setting"),
    [("DJANGO_SECRET_KEY", "x" * 60, "SECRET_KEY"), ("DATABASE_URL", "postgresql://db/codec", "DATABASES")],
)
def test_secret_may_come_from_a_file(read, tmp_path, name, content, setting):
    (tmp_path / "file").write_text(f"{content}\n")
    assert read(**{f"{name}_FILE": str(tmp_path / "file")})[setting] == read(**{name: content})[setting]


def test_given_secret_key_is_not_written_to_disk(read, tmp_path):
    assert read(DJANGO_SECRET_KEY="x" * 60)["SECRET_KEY"] == "x" * 60
    assert not (tmp_path / "var" / "django_secret_key").exists()


@pytest.mark.parametrize("name", ["CODEC_MAX_BODY_BYTES", "CODEC_BODY_SECONDS", "CODEC_THREADS", "CODEC_MAX_PAYLOADS"])
def test_limit_is_read_from_its_variable(read, name):
    assert read(**{name: "4321"})[name] == 4321


def test_django_reads_no_more_of_a_body_than_the_limit(read):
    assert read(CODEC_MAX_BODY_BYTES="4321")["DATA_UPLOAD_MAX_MEMORY_SIZE"] == 4321


# Refused values: the variable is named, its value ("hidden") is not shown --------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "hidden"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("CODEC_PUBLIC_URL", "hidden.example.com"),
        ("CODEC_PUBLIC_URL", "https://Hidden.example.com"),
        ("CODEC_PUBLIC_URL", "https://codec.example.com/hidden"),
        ("CODEC_PUBLIC_URL", "https://user:hidden@codec.example.com"),
        ("CODEC_UI_ORIGINS", "http://localhost:8080,hidden"),
        ("CODEC_UI_ORIGINS", "https://*.hidden.example.com"),
        ("CODEC_CROSS_SITE_COOKIES", "hidden"),
        ("CODEC_TRUSTED_PROXIES", "-1"),
        ("CODEC_SESSION_SECONDS", "59"),
        ("CODEC_MAX_BODY_BYTES", "hidden"),
        ("CODEC_THREADS", "0"),
        ("CODEC_LOG_LEVEL", "hidden"),
        ("DATABASE_URL", "hidden"),
        ("DATABASE_URL", "hidden://host/db"),
        ("DATABASE_URL", "postgresql://codec:hidden@host:port/db"),
        ("DATABASE_URL", "postgresql://codec:hid#den@host/db"),
        ("DATABASE_URL", "postgresql://codec:hidden@[host/db"),
        ("DATABASE_URL", "mysql://codec:hidden@host/db"),
        ("CODEC_EMAIL_URL", "smtp://codec:hidden@host:port"),
        ("CODEC_EMAIL_URL", "hidden"),
        ("DATABASE_URL_FILE", "/nowhere"),
        ("DJANGO_SECRET_KEY_FILE", "/nowhere"),
    ],
)
def test_bad_value_is_refused_by_the_name_of_its_variable(refusal, name, value):
    line = refusal(**{name: value})
    assert line.startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert name in line


def test_secret_given_twice_is_refused(refusal, tmp_path):
    line = refusal(DJANGO_SECRET_KEY="hidden", DJANGO_SECRET_KEY_FILE=str(tmp_path))
    assert "Set DJANGO_SECRET_KEY or DJANGO_SECRET_KEY_FILE, not both." in line
