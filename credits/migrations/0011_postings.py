from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0010_room")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RunSQL(
            (SQL / "0011_postings.sql").read_text(), (SQL / "0010_postings.sql").read_text()
        ),
        migrations.RunSQL(migrations.RunSQL.noop, "SET LOCAL lock_timeout = '5s'"),
    ]
