from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class CodecConfig(AppConfig):
    name = "codec"
    verbose_name = "Access"

    def ready(self) -> None:
        from codec import checks, epoch_triggers, people  # noqa: F401  registers system checks and signal receivers
        from keys import epoch

        epoch.known_triggers.extend(epoch_triggers.TRIGGERS)


class CodecAdminConfig(AdminConfig):
    default_site = "codec.admin_site.CodecAdminSite"
