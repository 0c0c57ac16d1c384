from typing import Any

from codec.access_requests import lapse_overdue
from codec.command import AccessCommand
from keys.actor import operator


class Command(AccessCommand):
    help = "Close the access requests that nobody has answered in time. They permit nothing either way; run it daily."

    def run(self, **options: Any) -> None:
        number = lapse_overdue(actor=operator())
        self.stdout.write(f"{number} request{'' if number == 1 else 's'} lapsed.")
