import secrets
from typing import Any

from django.conf import settings
from django.db import transaction

from codec.command import AccessCommand
from codec.grants import give_grant
from codec.models import User
from keys.actor import operator
from keys.kek import ensure_local_kek
from keys.models import Namespace
from keys.rotation import create_namespace


class Command(AccessCommand):
    help = "Set up a new installation: a KEK, an administrator, a namespace. Run again, it changes nothing."

    def run(self, **options: Any) -> None:
        if ensure_local_kek():
            self.stdout.write("Created the key encryption key. Back it up: without it no stored key can be used.")
        with transaction.atomic():
            admin = self._ensure_admin()
            self._ensure_namespace(admin)

    def _ensure_admin(self) -> User | None:
        """Create `admin` when there is no user at all, and say how to get in."""
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(15) if settings.CODEC_LOCAL_PASSWORDS else None
        admin = User.objects.create_superuser("admin", password=password)
        if password is None:
            self.stdout.write("Created the administrator, who has no password: CODEC_LOCAL_PASSWORDS is off. Invite")
            self.stdout.write("yourself, then sign in at the provider:  manage.py invite admin --email YOUR-ADDRESS")
        else:
            self.stdout.write("Created the administrator. The password is shown this one time.")
            self.stdout.write(f"admin password: {password}")
        return admin

    def _ensure_namespace(self, admin: User | None) -> None:
        if Namespace.objects.exists():
            return
        namespace = create_namespace("default", actor=operator())
        self.stdout.write(f"Created the namespace {namespace} with its first key.")
        if admin is not None:
            give_grant(
                admin, namespace, decode=True, encode=True, actor=operator(), reason="first administrator (bootstrap)"
            )
