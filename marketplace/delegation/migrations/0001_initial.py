import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tasks", "0005_trees"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="WageRelease",
            fields=[
                (
                    "payment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="release",
                        serialize=False,
                        to="tasks.settlementpayment",
                    ),
                ),
                ("waited", models.BigIntegerField()),
                ("wages", models.BigIntegerField()),
                ("returned", models.BigIntegerField(default=0)),
                ("panel", models.BigIntegerField(default=0)),
                ("released_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("panel__gte", 0),
                            ("returned__gte", 0),
                            ("wages__gte", 0),
                            (
                                "waited",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("wages"), "+", models.F("returned")
                                    ),
                                    "+",
                                    models.F("panel"),
                                ),
                            ),
                        ),
                        name="released_wages_add_up",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Dependency",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "predecessor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="dependants",
                        to="tasks.task",
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="dependencies",
                        to="tasks.task",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "dependencies",
                "ordering": ["predecessor"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("task", "predecessor"), name="depended_on_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("predecessor__lt", models.F("task"))),
                        name="dependencies_have_no_cycle",
                    ),
                ],
            },
        ),
    ]
