from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from codec.command import AccessCommand
from codec.roles import ROLES


class Command(AccessCommand):
    help = "Create the admin roles as groups with their permissions. Run again, it restores them."

    @transaction.atomic
    def run(self, **options: Any) -> None:
        for name, codenames in ROLES.items():
            group, _ = Group.objects.get_or_create(name=name)
            wanted = Permission.objects.filter(codename__in=codenames)
            if set(wanted) != set(group.permissions.all()):
                group.permissions.set(wanted)
            self.stdout.write(f"{name}: {', '.join(sorted(codenames))}")
        self.stdout.write("Add people to a group and mark them as staff, so that they can open the admin.")
