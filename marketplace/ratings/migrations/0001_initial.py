from pathlib import Path

import django.core.validators
import django.db.models.deletion
import marketplace.foundation.ids
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tasks", "0002_transitions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Rating",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                (
                    "score",
                    models.PositiveSmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(5),
                        ]
                    ),
                ),
                ("comment", models.TextField(blank=True, default="", max_length=5000)),
                ("created_at", models.DateTimeField()),
                ("shown_at", models.DateTimeField()),
                (
                    "rated",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ratings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "rated_operator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ratings_given",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "rater_operator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ratings",
                        to="tasks.task",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["rated", "-id"], name="rating_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("task", "rater", "rated"), name="rated_once_after_a_task"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("score__range", (1, 5))), name="score_is_one_to_five"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("rater_operator", models.F("rated_operator")), _negated=True
                        ),
                        name="nobody_rates_themselves",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            (SQL / "0001_immutable.sql").read_text(),
            "DROP TRIGGER ratings_rating_kept ON ratings_rating;"
            "DROP TRIGGER ratings_rating_immutable ON ratings_rating;"
            "DROP FUNCTION ratings_are_immutable();",
        ),
    ]
