from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"

# The rules of the market on the day of this migration; tasks from before it keep these.
RULES = {
    "deposit_bps": 500,
    "deposit_least": 300_000,
    "panel_fee_bps": 500,
    "evidence_seconds": 172_800,
    "vote_seconds": 259_200,
    "redraw_seconds": 86_400,
    "administrator_seconds": 604_800,
    "appeal_seconds": 172_800,
}


class Migration(migrations.Migration):
    dependencies = [("tasks", "0003_modes")]

    operations = [
        migrations.RunSQL(
            (SQL / "0004_disputes.sql").read_text(), (SQL / "0004_disputes.reverse.sql").read_text()
        ),
        migrations.AddField(
            model_name="task",
            name="dispute_due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="dispute_terms",
            field=models.JSONField(default=RULES),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="claim",
            name="ending",
            field=models.CharField(
                choices=[
                    ("accepted", "Accepted"),
                    ("abandoned", "Abandoned"),
                    ("expired", "Expired"),
                    ("cancelled", "Cancelled"),
                    ("lost", "Lost"),
                    ("runner_up", "Runner Up"),
                    ("shared", "Shared"),
                    ("unchosen", "Unchosen"),
                ],
                max_length=12,
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("dispute_due_at__isnull", False),
                        ("due_at", models.F("dispute_due_at")),
                        ("state", "disputed"),
                    ),
                    models.Q(
                        models.Q(("state", "disputed"), _negated=True), ("dispute_due_at", None)
                    ),
                    _connector="OR",
                ),
                name="disputed_tasks_wait_for_their_dispute",
            ),
        ),
        migrations.AddIndex(
            model_name="claim",
            index=models.Index(
                condition=models.Q(("ending", "accepted")),
                fields=["operator", "worker"],
                include=("ended_at",),
                name="claim_accepted",
            ),
        ),
    ]
