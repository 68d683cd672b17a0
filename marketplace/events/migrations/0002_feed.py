from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0001_initial"),
        ("credits", "0001_ledger"),  # xid_epoch()
        ("participants", "0001_initial"),
    ]
    operations = [
        migrations.RunSQL(
            (SQL / "0002_feed.sql").read_text(),
            "DROP TRIGGER events_event_append_only ON events_event;"
            "DROP FUNCTION events_append_only();"
            "DROP TABLE events_feed;"
            "ALTER TABLE events_event DROP COLUMN xid, DROP COLUMN epoch;",
        ),
    ]
