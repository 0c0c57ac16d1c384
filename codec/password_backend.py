"""Signing in with a username and a password."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser

from codec.models import User


class PasswordBackend(ModelBackend):
    """Django's own, for people only: a service has tokens and never a session."""

    def user_can_authenticate(self, user: User | AnonymousUser | None) -> bool:
        return isinstance(user, User) and not user.is_service and super().user_can_authenticate(user)
