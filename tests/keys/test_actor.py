import getpass

import pytest

from keys import actor
from keys.actor import Actor, ActorKind, current, operator, set_current


@pytest.fixture
def alice_acts():
    """As the middleware does for a request."""
    alice = Actor(kind=ActorKind.USER, name="alice")
    set_current(lambda: alice)
    yield alice
    set_current(None)


def test_operator_is_the_operating_systems_user(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    assert operator() == Actor(kind=ActorKind.COMMAND, name="root")


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 10001"), OSError("No username set")])
def test_operator_without_a_name_is_known_by_number(monkeypatch, error):
    def refuse():
        raise error

    monkeypatch.setattr(getpass, "getuser", refuse)
    monkeypatch.setattr(actor.os, "getuid", lambda: 10001)
    assert operator().name == "uid 10001"


def test_outside_of_a_request_the_operator_acts():
    assert current() == operator()


def test_in_a_request_its_caller_acts(alice_acts):
    assert current() is alice_acts
