import django.db.models.deletion
import marketplace.foundation.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("participants", "0002_freezes_and_blocks"),
        ("credits", "0001_ledger"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="participant",
            name="granted_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        # Who was granted credits before this column was there.
        migrations.RunSQL(
            """
            UPDATE participants_participant AS operator SET granted_at = posting.created_at
            FROM credits_posting AS posting
            WHERE posting.kind = 'grant' AND posting.reference = 'grant:' || operator.id
            """,
            migrations.RunSQL.noop,
        ),
        migrations.CreateModel(
            name="Confirmation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("mailbox", models.EmailField(max_length=254)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("send_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                (
                    "operator",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="confirmations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["operator", "created_at"], name="confirmation_of_operator"
                    ),
                    models.Index(fields=["mailbox", "created_at"], name="confirmation_of_mailbox"),
                    models.Index(
                        condition=models.Q(("send_at__isnull", False)),
                        fields=["send_at"],
                        name="confirmation_to_send",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("confirmed_at__isnull", False)),
                        fields=("mailbox",),
                        name="one_operator_per_mailbox",
                    )
                ],
            },
        ),
    ]
