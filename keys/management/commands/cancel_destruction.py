from keys.command import KeyVerbCommand
from keys.lifecycle import cancel_destruction


class Command(KeyVerbCommand):
    help = "Keep a key version that is scheduled for destruction; it stays DISABLED."
    act = staticmethod(cancel_destruction)
