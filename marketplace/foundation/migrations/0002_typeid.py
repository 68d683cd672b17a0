from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("foundation", "0001_market_clock")]
    operations = [
        migrations.RunSQL(
            (SQL / "0002_typeid.sql").read_text(), "DROP FUNCTION typeid(text, uuid);"
        ),
    ]
