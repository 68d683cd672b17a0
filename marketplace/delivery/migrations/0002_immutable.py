from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("delivery", "0001_initial")]
    operations = [
        migrations.RunSQL(
            (SQL / "0002_immutable.sql").read_text(),
            "DROP TRIGGER delivery_deliveryfile_immutable ON delivery_deliveryfile;"
            "DROP TRIGGER delivery_delivery_kept ON delivery_delivery;"
            "DROP TRIGGER delivery_delivery_immutable ON delivery_delivery;"
            "DROP FUNCTION delivery_is_immutable();",
        ),
    ]
