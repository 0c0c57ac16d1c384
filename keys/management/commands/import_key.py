import base64
import hashlib
import sys
from typing import Any, TextIO

from django.core.management.base import CommandParser

from keys.actor import operator
from keys.command import VaultCommand
from keys.errors import InvalidKey
from keys.rotation import find_namespace, import_key

# SHA-256 of the key that every sample of Temporal publishes.
SAMPLE_KEY_SHA256 = "2a3046b5cee8520df3e833128102c01bbc72546141d906d86d200b6afb4c2117"


class Command(VaultCommand):
    help = "Take in a key that Workers already use, given in base64 on standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("key_id", help="the id that the Workers write into payloads, to the letter")
        parser.add_argument("--primary", action="store_true", help="encode with it from now on")

    def run(self, *, namespace: str, key_id: str, primary: bool, **options: Any) -> None:
        data_key = read_key(sys.stdin)
        if hashlib.sha256(data_key).hexdigest() == SAMPLE_KEY_SHA256:
            self.stderr.write(
                "Warning: this is the key that Temporal's samples publish. Everybody has it. Rotate it out soon."
            )
        version = import_key(find_namespace(namespace), key_id, data_key, primary=primary, actor=operator())
        role = "as primary" if primary else "for decoding"
        self.stdout.write(f"Imported key {version.key_id} into {namespace} {role}.")


def read_key(stream: TextIO) -> bytes:
    """Return the bytes of a base64 line. Raises InvalidKey."""
    try:
        return base64.b64decode(stream.read().strip(), validate=True)
    except ValueError as error:  # of base64, and of a stream that is not text
        raise InvalidKey("Standard input holds no key in base64.") from error
