from keys.management.commands.retire_namespace import Command as RetireCommand
from keys.namespaces import restore_namespace


class Command(RetireCommand):
    help = "Take a retired namespace back into use: what was granted there and has not ended holds again."
    act = staticmethod(restore_namespace)
    done = "{} is in use again."
