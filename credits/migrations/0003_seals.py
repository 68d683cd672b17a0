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
    dependencies = [("credits", "0002_folds")]
    operations = [
        LOCK_TIMEOUT,
        sql_file("0003_seals"),
        # Unmanaged, as in 0001.
        migrations.CreateModel(
            name="SealedBlock",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("previous", models.BinaryField()),
                ("root", models.BinaryField()),
                ("hash", models.BinaryField()),
                ("entries", models.IntegerField()),
                ("upto_epoch", models.IntegerField()),
                ("upto_posting", models.UUIDField()),
                ("upto_account", models.BigIntegerField()),
                ("sealed_at", models.DateTimeField()),
            ],
            options={"db_table": "credits_seal", "managed": False},
        ),
        LOCK_TIMEOUT,
    ]
