from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(
            (SQL / "0001_market_clock.sql").read_text(),
            "DROP FUNCTION market_now(); DROP TABLE market_clock;",
        ),
    ]
