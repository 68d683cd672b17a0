from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0004_entries"),
        ("events", "0002_feed"),
        ("foundation", "0002_typeid"),
        ("ratings", "0001_initial"),
        ("tasks", "0003_modes"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="delivery",
            name="first_decision",
            field=models.CharField(blank=True, default="", max_length=20),
        ),
        migrations.AddField(
            model_name="delivery",
            name="first_decided_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="at_stake",
            field=models.BigIntegerField(null=True),
        ),
        migrations.RunSQL(
            (SQL / "0005_first_decisions.sql").read_text(),
            (SQL / "0005_first_decisions.reverse.sql").read_text(),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("at_stake", None), ("first_decided_at", None), ("first_decision", "")
                    ),
                    models.Q(
                        models.Q(("first_decision", ""), _negated=True),
                        ("at_stake__isnull", False),
                        ("first_decided_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="first_decisions_are_whole",
            ),
        ),
        migrations.RemoveConstraint(model_name="delivery", name="rating_is_one_to_five"),
        migrations.RemoveField(model_name="delivery", name="rating"),
    ]
