from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("files", "0001_initial"),
        ("tasks", "0004_disputes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name="settlement",
            name="settlement_adds_up",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="ended_tasks_are_never_due",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="claimed_tasks_have_a_worker",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="disputed_tasks_wait_for_their_dispute",
        ),
        migrations.AddField(
            model_name="claim",
            name="delegated",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="claim",
            name="poster_operator",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="settlement",
            name="subtasks",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="assignee",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="barred",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="children",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="closing_as",
            field=models.CharField(
                blank=True,
                choices=[
                    ("checking", "its checkers are being proven"),
                    ("blocked", "waits for sibling subtasks"),
                    ("open", "may be claimed, bid for or entered"),
                    ("offered", "offered to one participant"),
                    ("claimed", "somebody works on it"),
                    ("submitted", "a delivery awaits review"),
                    ("disputed", "a panel decides"),
                    ("closing", "waits for its last child"),
                    ("accepted", "a delivery was accepted and paid"),
                    ("cancelled", "called off, and refunded"),
                    ("expired", "its deadline passed, and it was refunded"),
                ],
                default="",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="closing_claim_as",
            field=models.CharField(blank=True, default="", max_length=12),
        ),
        migrations.AddField(
            model_name="task",
            name="closing_compensated",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="task",
            name="delegated",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="charged",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="delegation_bps",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="depth",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="funder",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="funding_root",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="key",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="task",
            name="lead",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="lead_claim",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tasks.claim",
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="parent",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="subtasks",
                to="tasks.task",
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="source",
            field=models.CharField(
                blank=True,
                choices=[
                    ("escrow", "the escrow of its parent"),
                    ("wallet", "the wallet of the lead"),
                ],
                default="",
                max_length=6,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="stands_since",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="unsettled_children",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="wages_wait_seconds",
            field=models.PositiveIntegerField(default=604800),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="task",
            name="wages_wait_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(
            (SQL / "0005_trees.sql").read_text(), (SQL / "0005_trees.reverse.sql").read_text()
        ),
        migrations.AlterField(
            model_name="task",
            name="funding_root",
            field=models.UUIDField(),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("wages_wait_until__isnull", False)),
                fields=["wages_wait_until"],
                name="task_wages_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(
                    models.Q(("parent__isnull", False), ("children__gt", 0), _connector="OR"),
                    ("due_at__isnull", False),
                ),
                fields=["due_at"],
                name="task_of_tree_due",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)),
                fields=["root", "id"],
                name="task_of_tree",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "bounty",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("fee"), "+", models.F("royalties")
                                            ),
                                            "+",
                                            models.F("compensation"),
                                        ),
                                        "+",
                                        models.F("refund"),
                                    ),
                                    "+",
                                    models.F("wages"),
                                ),
                                "+",
                                models.F("panel"),
                            ),
                            "+",
                            models.F("subtasks"),
                        ),
                    )
                ),
                name="settlement_adds_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("claim__isnull", False),
                        ("state__in", ["claimed", "submitted", "disputed", "accepted"]),
                        ("worker__isnull", False),
                        ("worker_operator__isnull", False),
                    ),
                    ("state", "closing"),
                    models.Q(
                        models.Q(
                            models.Q(
                                ("state__in", ["claimed", "submitted", "disputed", "accepted"]),
                                _negated=True,
                            ),
                            ("mode", "contest"),
                            _connector="OR",
                        ),
                        ("claim", None),
                        ("worker", None),
                        ("worker_operator", None),
                    ),
                    _connector="OR",
                ),
                name="claimed_tasks_have_a_worker",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("due_at", None),
                        ("ended_at__isnull", False),
                        ("state__in", ["accepted", "cancelled", "expired"]),
                    ),
                    models.Q(
                        ("dispute_due_at__isnull", False),
                        ("ended_at__isnull", False),
                        ("state", "accepted"),
                    ),
                    models.Q(
                        models.Q(
                            ("state__in", ["accepted", "cancelled", "expired"]), _negated=True
                        ),
                        ("ended_at", None),
                    ),
                    _connector="OR",
                ),
                name="ended_tasks_are_never_due",
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
                        ("dispute_due_at__isnull", False),
                        ("due_at", models.F("dispute_due_at")),
                        ("source", "escrow"),
                        ("state", "accepted"),
                    ),
                    models.Q(
                        models.Q(("state", "disputed"), _negated=True), ("dispute_due_at", None)
                    ),
                    _connector="OR",
                ),
                name="disputed_tasks_wait_for_their_dispute",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("depth", 0),
                        ("key", ""),
                        ("lead", None),
                        ("lead_claim", None),
                        ("parent", None),
                        ("source", ""),
                    ),
                    models.Q(
                        ("depth__gt", 0),
                        ("lead__isnull", False),
                        ("lead_claim__isnull", False),
                        ("parent__isnull", False),
                        ("parent__lt", models.F("id")),
                        ("source__in", ["escrow", "wallet"]),
                        models.Q(("key", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="subtasks_say_where_they_come_from",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.UniqueConstraint(
                condition=models.Q(("parent__isnull", False)),
                fields=("parent", "key"),
                name="siblings_have_different_keys",
            ),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.CheckConstraint(
                condition=models.Q(("delegated__gte", 0)), name="claims_bear_what_they_delegated"
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("charged", 0),
                    models.Q(("charged__gt", 0), ("source", "escrow")),
                    _connector="OR",
                ),
                name="only_what_an_escrow_pays_is_charged",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(("delegated__gte", 0), ("delegated__lte", models.F("bounty"))),
                name="delegated_is_part_of_the_bounty",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("closing_as__in", ["cancelled", "expired"]),
                        ("due_at", None),
                        ("state", "closing"),
                    ),
                    models.Q(models.Q(("state", "closing"), _negated=True), ("closing_as", "")),
                    _connector="OR",
                ),
                name="closing_tasks_say_for_what",
            ),
        ),
    ]
