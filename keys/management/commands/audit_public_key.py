from typing import Any

from keys import checkpoints
from keys.command import VaultCommand


class Command(VaultCommand):
    help = "Print the public key by which anyone can verify checkpoints and exports. It is no secret."

    def run(self, **options: Any) -> None:
        self.stdout.write(checkpoints.public_key())
