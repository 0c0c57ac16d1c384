"""Commands about people and rights."""

from codec.grants import GrantRefused
from codec.models import User
from keys.command import VaultCommand
from keys.errors import KeysError


class NoSuchUser(KeysError):
    """There is no user of that name."""


class AccessCommand(VaultCommand):
    """A command whose expected refusals include those of grants."""

    refusals = (*VaultCommand.refusals, GrantRefused)


def find_user(username: str) -> User:
    """Return the user. Raises NoSuchUser."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NoSuchUser(f"There is no user {username}.")
    return user
