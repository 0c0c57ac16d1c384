from typing import Any

from keys import fingerprint_index
from keys.command import VaultCommand


class Command(VaultCommand):
    help = "Make the index behind who_saw anew from the audit records. Searches find everything meanwhile, but slower."

    def run(self, **options: Any) -> None:
        fingerprint_index.clear()
        self.stdout.write(f"Read {fingerprint_index.refresh()} audit records.")
