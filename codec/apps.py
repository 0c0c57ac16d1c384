from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class CodecConfig(AppConfig):
    name = "codec"
    verbose_name = "Access"

    def ready(self) -> None:
        from codec import checks, epoch_triggers, fresh_login, memberships, people  # noqa: F401  registers checks and receivers
        from codec.services import ids_of_services
        from keys import epoch
        from keys import fresh_login as vault
        from keys.review import reviews

        epoch.known_triggers.extend(epoch_triggers.TRIGGERS)
        vault.ways.append(fresh_login.at_the_provider)
        reviews.stand_ins.append(ids_of_services)


class CodecAdminConfig(AdminConfig):
    default_site = "codec.admin_site.CodecAdminSite"
