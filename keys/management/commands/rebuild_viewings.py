from typing import Any

from keys.command import VaultCommand
from keys.review import viewings
from keys.review.models import Viewing


class Command(VaultCommand):
    help = "Make the auditors' viewings, their marks and the copy of their reviews anew from the audit."

    def run(self, **options: Any) -> None:
        viewings.rebuild()
        self.stdout.write(f"{Viewing.objects.count()} viewings.")
