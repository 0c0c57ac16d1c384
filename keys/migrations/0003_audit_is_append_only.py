from django.db import migrations

from keys import append_only


class Migration(migrations.Migration):
    dependencies = [("keys", "0002_policy_epoch_triggers")]

    operations = [append_only.install()]
