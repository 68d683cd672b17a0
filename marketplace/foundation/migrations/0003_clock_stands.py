from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
# A migration that waits for a lock makes everybody behind it wait; better to fail and retry.
LOCK_TIMEOUT = migrations.RunSQL("SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '5s'")


class Migration(migrations.Migration):
    dependencies = [("foundation", "0002_typeid")]
    operations = [
        LOCK_TIMEOUT,
        migrations.RunSQL(
            (SQL / "0003_clock_stands.sql").read_text(),
            (SQL / "0003_clock_stands.reverse.sql").read_text(),
        ),
        LOCK_TIMEOUT,
    ]
