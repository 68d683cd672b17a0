from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0005_first_decisions"),
        ("disputes", "0002_guards"),
        ("tasks", "0005_trees"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name="dispute",
            name="openers_deposit",
        ),
        migrations.AlterField(
            model_name="dispute",
            name="cause",
            field=models.CharField(
                choices=[
                    ("poster", "the poster disputes a delivery"),
                    ("worker", "the worker disputes a rejection"),
                    ("funder", "who funded a subtask disputes what it earned"),
                    ("checks", "a check could not run on a task that checks accept"),
                    ("silence", "the poster of a contest stayed silent"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("cause__in", ["poster", "worker", "funder"]),
                        ("deposit__gt", 0),
                        ("opener__isnull", False),
                    ),
                    models.Q(
                        ("cause__in", ["checks", "silence"]), ("deposit", 0), ("opener", None)
                    ),
                    _connector="OR",
                ),
                name="openers_deposit",
            ),
        ),
    ]
