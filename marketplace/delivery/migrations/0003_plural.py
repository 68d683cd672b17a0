from django.db import migrations


class Migration(migrations.Migration):
    # Says how the admin calls several of them; the database is not touched.
    dependencies = [("delivery", "0002_immutable")]
    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={"ordering": ["number"], "verbose_name_plural": "deliveries"},
        ),
    ]
