from typing import Any

from keys.actor import operator
from keys.command import KeyCommand
from keys.lifecycle import destroy_due


class Command(KeyCommand):
    help = "Erase every key version whose destruction is due. Run it from a scheduler, on as many nodes as you like."

    def run(self, **options: Any) -> None:
        versions = destroy_due(actor=operator())
        self.tell(versions, f"Destroyed {len(versions)} key version(s).", as_json=options["json"])
