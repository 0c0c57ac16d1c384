from typing import Any

from keys.actor import operator
from keys.command import KeyCommand
from keys.rotation import rotate_due


class Command(KeyCommand):
    help = "Rotate every namespace whose next rotation is due. Run it from a scheduler, on as many nodes as you like."

    def run(self, **options: Any) -> None:
        versions = rotate_due(actor=operator())
        self.tell(versions, f"Rotated {len(versions)} namespace(s).", as_json=options["json"])
