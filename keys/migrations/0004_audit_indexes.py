from django.db import migrations, models


class Migration(migrations.Migration):
    """Fewer indexes on the audit records. No field is altered in the database: SQLite would lose the triggers."""

    dependencies = [("keys", "0003_audit_is_append_only")]

    operations = [
        migrations.RemoveIndex(model_name="auditrecord", name="audit_by_namespace"),
        migrations.RemoveIndex(model_name="auditrecord", name="audit_by_actor"),
        migrations.RemoveIndex(model_name="auditrecord", name="audit_by_action"),
        migrations.RunSQL(
            "DROP INDEX keys_auditrecord_event_id_f7d9fd8e",
            "CREATE INDEX keys_auditrecord_event_id_f7d9fd8e ON keys_auditrecord (event_id)",
            state_operations=[
                migrations.AlterField(model_name="auditrecord", name="event_id", field=models.UUIDField(editable=False))
            ],
        ),
        migrations.AddIndex(
            model_name="auditrecord",
            index=models.Index(
                models.F("at"), models.F("actor_id"), condition=models.Q(outcome="denied"), name="audit_denied"
            ),
        ),
        migrations.AddIndex(
            model_name="auditrecord",
            index=models.Index(
                models.F("action"), models.F("at"), condition=models.Q(chain="management"), name="audit_management"
            ),
        ),
    ]
