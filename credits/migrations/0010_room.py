from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


def _read(name: str) -> str:
    return (SQL / name).read_text()


BATCHES = _read("0010_batches.sql")


class Migration(migrations.Migration):
    dependencies = [("credits", "0009_late_start")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RunSQL(_read("0010_room.sql"), _read("0010_room.reverse.sql")),
        migrations.RunSQL(
            _read("0010_postings.sql"),
            _read("0010_postings.reverse.sql") + _read("0009_late_start.sql"),
        ),
        # That a batch tells as many accounts as legs is not worth going back on.
        migrations.RunSQL(BATCHES, BATCHES.replace("            room = NULL,\n", "")),
        migrations.RunSQL(migrations.RunSQL.noop, "SET LOCAL lock_timeout = '5s'"),
    ]
