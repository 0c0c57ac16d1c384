import os
import stat

import pytest
from django.core.exceptions import ImproperlyConfigured

from codecsite.localsecret import read_or_create


@pytest.fixture(autouse=True)
def generous_umask():
    previous = os.umask(0)
    yield
    os.umask(previous)


def test_secret_is_made_once(tmp_path):
    assert read_or_create(tmp_path / "secret") == read_or_create(tmp_path / "secret")


def test_secrets_of_two_installations_differ(tmp_path):
    assert read_or_create(tmp_path / "a") != read_or_create(tmp_path / "b")


def test_secret_is_long_enough_for_django(tmp_path):
    assert len(read_or_create(tmp_path / "secret")) >= 50


def test_file_and_new_folder_are_their_owners_alone(tmp_path):
    read_or_create(tmp_path / "var" / "secret")
    assert stat.S_IMODE((tmp_path / "var" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_existing_secret_is_read_without_the_line_end(tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    assert read_or_create(tmp_path / "secret") == "secret"


def test_file_that_was_not_written_to_its_end_is_refused(tmp_path):
    (tmp_path / "secret").touch()
    with pytest.raises(ImproperlyConfigured, match=r"/secret is empty"):
        read_or_create(tmp_path / "secret")
