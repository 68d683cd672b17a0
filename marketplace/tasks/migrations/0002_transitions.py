from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("tasks", "0001_initial")]
    operations = [
        migrations.RunSQL(
            (SQL / "0002_transitions.sql").read_text(),
            "DROP TRIGGER tasks_task_transition ON tasks_task;"
            "DROP FUNCTION tasks_only_known_transitions();"
            "DROP TABLE tasks_transition;",
        ),
    ]
