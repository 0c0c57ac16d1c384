from keys.command import KeyVerbCommand
from keys.lifecycle import disable


class Command(KeyVerbCommand):
    help = "Decode nothing with a key version, from the next request on. enable_key undoes it."
    act = staticmethod(disable)
