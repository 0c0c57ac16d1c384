"""CODEC_EMAIL_URL: where mail goes, and what is refused without being quoted."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from codecsite import mail


@pytest.mark.parametrize("url", [None, ""])
def test_without_a_url_mail_goes_nowhere(url):
    assert mail.read(url).backend == "django.core.mail.backends.dummy.EmailBackend"


def test_console_prints():
    assert mail.read("console:").backend == "django.core.mail.backends.console.EmailBackend"


@pytest.mark.parametrize(
    ("url", "port", "starttls", "tls"),
    [
        ("smtp://mail.example.com", 25, False, False),
        ("smtp+starttls://mail.example.com", 587, True, False),
        ("smtps://mail.example.com", 465, False, True),
        ("smtps://mail.example.com:2465/", 2465, False, True),
    ],
)
def test_scheme_decides_about_encryption_and_port(url, port, starttls, tls):
    server = mail.read(url)
    assert (server.host, server.port, server.starttls, server.tls) == ("mail.example.com", port, starttls, tls)
    assert server.backend == "django.core.mail.backends.smtp.EmailBackend"


def test_name_and_password_may_be_percent_encoded():
    server = mail.read("smtps://codec%40example.com:p%2Fss%3Aword@mail.example.com")
    assert (server.user, server.password) == ("codec@example.com", "p/ss:word")


def test_password_is_not_in_its_repr():
    assert "word-secret" not in repr(mail.read("smtps://codec:word-secret@mail.example.com"))


@pytest.mark.parametrize(
    "url",
    [
        "smtps://codec:word-secret@",
        "https://word-secret.example.com",
        "smtp://mail.example.com:word-secret",
        "smtp://mail.example.com/word-secret",
        "smtp://mail.example.com?password=word-secret",
        "word-secret",
    ],
)
def test_url_that_makes_no_sense_is_refused_and_not_quoted(url):
    with pytest.raises(ImproperlyConfigured) as refused:
        mail.read(url)
    assert "CODEC_EMAIL_URL" in str(refused.value)
    assert "word-secret" not in str(refused.value)
