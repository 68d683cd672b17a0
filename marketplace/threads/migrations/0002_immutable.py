from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("threads", "0001_initial")]
    operations = [
        migrations.RunSQL(
            (SQL / "0002_immutable.sql").read_text(),
            "DROP TRIGGER threads_messagefile_immutable ON threads_messagefile;"
            "DROP TRIGGER threads_message_immutable ON threads_message;"
            "DROP FUNCTION threads_is_immutable();",
        ),
    ]
