import django.db.models.fields.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0002_feed")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("from", "data"),
                condition=models.Q(("type", "credits.transferred")),
                name="transfer_by_payer",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("to", "data"),
                condition=models.Q(("type", "credits.transferred")),
                name="transfer_by_payee",
            ),
        ),
    ]
