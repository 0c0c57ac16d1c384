from django.db import migrations

from codec.epoch_triggers import TRIGGERS
from keys import epoch


class Migration(migrations.Migration):
    dependencies = [("codec", "0001_initial"), ("keys", "0002_policy_epoch_triggers")]

    operations = [epoch.install(TRIGGERS)]
