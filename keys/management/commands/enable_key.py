from keys.command import KeyVerbCommand
from keys.lifecycle import enable


class Command(KeyVerbCommand):
    help = "Decode again with a DISABLED key version."
    act = staticmethod(enable)
