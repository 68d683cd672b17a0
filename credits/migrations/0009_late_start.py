from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0008_many_escrows")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        # The function as it was is not worth going back to.
        migrations.RunSQL((SQL / "0009_late_start.sql").read_text(), migrations.RunSQL.noop),
    ]
