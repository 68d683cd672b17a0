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
    initial = True
    dependencies = []
    operations = [
        LOCK_TIMEOUT,
        sql_file("0001_tables"),
        sql_file("0001_guards"),
        sql_file("0001_functions"),
        # Unmanaged models: Django reads these tables and never makes or alters them.
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        primary_key=True, serialize=False, auto_created=True, verbose_name="ID"
                    ),
                ),
                ("kind", models.TextField()),
                ("owner", models.UUIDField(null=True)),
                ("reference", models.TextField(default="")),
                ("mode", models.TextField(choices=[("stored", "stored"), ("derived", "derived")])),
                ("balance", models.BigIntegerField()),
                ("floor", models.BigIntegerField(null=True)),
                ("seq", models.BigIntegerField()),
                ("opened_at", models.DateTimeField()),
                ("posted_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "credits_account", "managed": False},
        ),
        migrations.CreateModel(
            name="Posting",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("reference", models.TextField(unique=True)),
                ("digest", models.BinaryField()),
                ("memo", models.TextField()),
                ("subject", models.TextField()),
                ("epoch", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={"db_table": "credits_posting", "managed": False},
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "posting_id",
                        "account_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("amount", models.BigIntegerField()),
                ("seq", models.BigIntegerField(null=True)),
                ("balance_after", models.BigIntegerField(null=True)),
                ("created_at", models.DateTimeField()),
                ("epoch", models.IntegerField()),
            ],
            options={"db_table": "credits_entry", "managed": False},
        ),
        LOCK_TIMEOUT,
    ]
