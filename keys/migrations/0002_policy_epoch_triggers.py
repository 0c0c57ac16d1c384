from django.db import migrations

from keys import epoch


class Migration(migrations.Migration):
    dependencies = [("keys", "0001_initial")]

    operations = [epoch.install_function(), epoch.install(epoch.TRIGGERS)]
