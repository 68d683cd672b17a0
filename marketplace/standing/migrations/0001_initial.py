import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Counted",
            fields=[
                ("source", models.UUIDField(primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "holder_id",
                        "outcome",
                        "counterparty",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("worker_paid", "was paid for work"),
                            ("worker_rejected", "had a delivery rejected"),
                            ("worker_abandoned", "gave a task back, or let its lease run out"),
                            ("worker_expired", "held a task until its deadline passed"),
                            ("worker_disputed", "had a dispute as a worker"),
                            ("worker_dispute_lost", "lost a dispute as a worker"),
                            ("poster_accepted", "accepted a delivery"),
                            ("poster_checked", "let checks accept a delivery"),
                            ("poster_rejected", "rejected a delivery"),
                            ("poster_silent", "said nothing about a delivery"),
                            ("poster_disputed", "had a dispute as a poster"),
                            ("poster_dispute_lost", "lost a dispute as a poster"),
                            ("author_used", "was paid for the use of an asset"),
                            ("panelist_voted", "voted in a panel"),
                        ],
                        max_length=20,
                    ),
                ),
                ("counterparty", models.UUIDField()),
                ("number", models.BigIntegerField()),
                ("points", models.DecimalField(decimal_places=0, max_digits=130)),
                (
                    "holder",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("number__gt", 0), ("points__gte", 0)),
                        name="tallies_only_grow",
                    )
                ],
            },
        ),
    ]
