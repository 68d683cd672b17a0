from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


def sql_file(name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        (SQL / f"{name}.sql").read_text(), (SQL / f"{name}.reverse.sql").read_text()
    )


# A migration that waits for a lock makes everybody behind it wait; better to fail and retry.
LOCK_TIMEOUT = migrations.RunSQL("SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '5s'")


class Migration(migrations.Migration):
    dependencies = [("credits", "0001_ledger")]
    operations = [
        LOCK_TIMEOUT,
        sql_file("0002_folds"),
        # Unmanaged, as in 0001.
        migrations.CreateModel(
            name="Fold",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.BigIntegerField()),
                ("upto_epoch", models.IntegerField()),
                ("balance", models.BigIntegerField()),
                ("entries", models.BigIntegerField()),
                ("oldest_at", models.DateTimeField()),
                ("newest_at", models.DateTimeField()),
                ("folded_at", models.DateTimeField()),
            ],
            options={"db_table": "credits_fold", "managed": False},
        ),
        LOCK_TIMEOUT,
    ]
