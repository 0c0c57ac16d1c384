from keys.command import KeyVerbCommand
from keys.rotation import promote_key


class Command(KeyVerbCommand):
    help = "Make an ENABLED key version the primary of its namespace."
    act = staticmethod(promote_key)
