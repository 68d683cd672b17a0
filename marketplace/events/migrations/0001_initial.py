import django.contrib.postgres.fields
import django.db.models.deletion
import marketplace.foundation.clock
import marketplace.foundation.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("foundation", "0001_market_clock"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("type", models.CharField(max_length=64)),
                ("subject_type", models.CharField(max_length=32)),
                ("subject_id", models.CharField(max_length=200)),
                ("data", models.JSONField(default=dict)),
                (
                    "notified",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OutboxMessage",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="events.event",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                (
                    "due_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                ("attempts", models.PositiveIntegerField(db_default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["due_at"], name="outbox_due")],
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("read_at", models.DateTimeField(null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="events.event"
                    ),
                ),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["participant", "-id"], name="notification_newest"),
                    models.Index(
                        condition=models.Q(("read_at", None)),
                        fields=["participant"],
                        name="notification_unread",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("participant", "event"), name="one_notification_per_event"
                    )
                ],
            },
        ),
    ]
