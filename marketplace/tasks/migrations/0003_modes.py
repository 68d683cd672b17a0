from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import marketplace.foundation.clock
import marketplace.foundation.ids
from django.conf import settings
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("files", "0001_initial"),
        ("tasks", "0002_transitions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Bid",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("proposal", models.TextField(max_length=10000)),
                ("amount", models.BigIntegerField()),
                ("eta", models.DateTimeField(null=True)),
                ("terms_version", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "may be selected"),
                            ("selected", "the task is offered to its bidder"),
                            ("taken", "its bidder has the task"),
                            ("declined", "its bidder declined the offer"),
                            ("lapsed", "its bidder did not answer the offer in time"),
                            ("withdrawn", "taken back"),
                            ("ended", "its claim, or the task, has ended"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CounterOffer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("amount", models.BigIntegerField()),
                ("eta", models.DateTimeField(null=True)),
                ("note", models.CharField(blank=True, default="", max_length=1000)),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
            ],
            options={
                "ordering": ["number"],
            },
        ),
        migrations.CreateModel(
            name="SettlementPayment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("gross", models.BigIntegerField()),
                ("fee", models.BigIntegerField()),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="claim",
            name="one_live_claim_per_task",
        ),
        migrations.RemoveConstraint(
            model_name="settlement",
            name="settlement_adds_up",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="claimed_tasks_have_a_worker",
        ),
        migrations.AddField(
            model_name="claim",
            name="is_entry",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="settlement",
            name="panel",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="eligible_capabilities",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=64), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="eligible_kind",
            field=models.CharField(
                blank=True,
                choices=[("human", "Human"), ("agent", "Agent")],
                default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="eligible_standing",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="entries",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="offer_seconds",
            field=models.PositiveIntegerField(default=86400),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="task",
            name="offered_to",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="offered_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="on_decline",
            field=models.CharField(
                choices=[("open", "it is open again"), ("cancel", "it is cancelled and refunded")],
                default="open",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="price",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="runner_up_bps",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="task",
            name="terms_valid_from",
            field=models.PositiveIntegerField(default=1),
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
                    ("runner_up", "Runner Up"),
                    ("shared", "Shared"),
                    ("unchosen", "Unchosen"),
                ],
                max_length=12,
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="task",
            name="mode",
            field=models.CharField(
                choices=[
                    ("claim", "first come, first served"),
                    ("bid", "the poster picks a proposal"),
                    ("contest", "many deliver, one is accepted"),
                    ("direct", "offered to one participant"),
                ],
                default="claim",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="task",
            name="state",
            field=models.CharField(
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
                default="open",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at", None), ("is_entry", False)),
                fields=("task",),
                name="one_live_claim_per_task",
            ),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_entry", True)),
                fields=("task", "operator"),
                name="one_entry_per_operator",
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
                    )
                ),
                name="settlement_adds_up",
            ),
        ),
        migrations.AddField(
            model_name="bid",
            name="bidder",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="bids",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="bid",
            name="operator",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="bid",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="bids", to="tasks.task"
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="selected_bid",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tasks.bid",
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
                        ("offered_to__isnull", False),
                        ("offered_until__isnull", False),
                        ("state", "offered"),
                    ),
                    models.Q(
                        models.Q(("state", "offered"), _negated=True),
                        ("offered_to", None),
                        ("offered_until", None),
                    ),
                    _connector="OR",
                ),
                name="offered_tasks_say_to_whom",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("price", None), ("selected_bid", None)),
                    models.Q(
                        ("price__gt", 0),
                        ("price__lte", models.F("bounty")),
                        ("selected_bid__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="a_selected_bid_names_the_price",
            ),
        ),
        migrations.AddField(
            model_name="counteroffer",
            name="bid",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="counters", to="tasks.bid"
            ),
        ),
        migrations.AddField(
            model_name="counteroffer",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="settlementpayment",
            name="claim",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payment",
                to="tasks.claim",
            ),
        ),
        migrations.AddField(
            model_name="settlementpayment",
            name="settlement",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payments",
                to="tasks.settlement",
            ),
        ),
        migrations.AddField(
            model_name="settlementpayment",
            name="worker",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(fields=["task", "-id"], name="bid_of_task"),
        ),
        migrations.AddConstraint(
            model_name="bid",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="bid_is_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="bid",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("open", "selected", "taken"))),
                fields=("task", "operator"),
                name="one_live_bid_per_operator",
            ),
        ),
        migrations.AddConstraint(
            model_name="counteroffer",
            constraint=models.UniqueConstraint(
                fields=("bid", "number"), name="counters_are_numbered"
            ),
        ),
        migrations.AddConstraint(
            model_name="counteroffer",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="counter_is_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("fee__gte", 0), ("fee__lte", models.F("gross")), ("gross__gt", 0)
                ),
                name="payments_are_positive",
            ),
        ),
        migrations.RunSQL(
            (SQL / "0003_modes.sql").read_text(), (SQL / "0003_modes.reverse.sql").read_text()
        ),
    ]
