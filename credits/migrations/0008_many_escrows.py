from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


def sql_file(name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        (SQL / f"{name}.sql").read_text(), (SQL / f"{name}.reverse.sql").read_text()
    )


# A migration that waits for a lock makes everybody behind it wait; better to fail and retry.
LOCK_TIMEOUT = migrations.RunSQL("SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '5s'")


class Migration(migrations.Migration):
    dependencies = [("credits", "0007_recognised_server")]
    operations = [LOCK_TIMEOUT, sql_file("0008_many_escrows"), LOCK_TIMEOUT]
