from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0003_plural"),
        ("files", "0001_initial"),
        ("tasks", "0002_transitions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name="delivery",
            name="one_delivery_under_review_per_task",
        ),
        migrations.AddField(
            model_name="delivery",
            name="is_entry",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="state",
            field=models.CharField(
                choices=[
                    ("submitted", "awaits its checks and its review"),
                    ("accepted", "accepted and paid"),
                    ("rejected", "rejected with a reason"),
                    ("runner_up", "second, and paid the second's part"),
                    ("shared", "paid an equal share, for nobody chose"),
                    ("unchosen", "another was chosen, or none"),
                ],
                default="submitted",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_entry", False), ("state", "submitted")),
                fields=("task",),
                name="one_delivery_under_review_per_task",
            ),
        ),
    ]
