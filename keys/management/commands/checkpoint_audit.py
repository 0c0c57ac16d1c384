from typing import Any

from keys import checkpoints
from keys.command import VaultCommand


class Command(VaultCommand):
    help = "Sign how far every audit chain has come; to the log, to CODEC_CHECKPOINT_FILE and to standard output."

    def run(self, **options: Any) -> None:
        self.stdout.write(checkpoints.publish())
