from django.apps import AppConfig
from django.db.models.signals import post_migrate


class KeysConfig(AppConfig):
    name = "keys"
    verbose_name = "Keys and audit"

    def ready(self) -> None:
        from keys import audit, checks, epoch  # noqa: F401  registers the system checks

        post_migrate.connect(epoch.ensure_row, sender=self)
        post_migrate.connect(audit.ensure_management_chain, sender=self)
