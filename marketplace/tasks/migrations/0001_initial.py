import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
import django.db.models.expressions
import marketplace.foundation.clock
import marketplace.foundation.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("foundation", "0001_market_clock"),
        ("files", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Claim",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("note", models.CharField(blank=True, default="", max_length=1000)),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "ending",
                    models.CharField(
                        choices=[
                            ("accepted", "Accepted"),
                            ("abandoned", "Abandoned"),
                            ("expired", "Expired"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=12,
                        null=True,
                    ),
                ),
                ("rejections", models.PositiveIntegerField(default=0)),
                (
                    "operator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "worker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claims",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Task",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("root", models.UUIDField()),
                ("title", models.CharField(max_length=200)),
                ("description", models.TextField(max_length=50000)),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50), default=list, size=None
                    ),
                ),
                (
                    "requirements",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=1000), default=list, size=None
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[("claim", "first come, first served")],
                        default="claim",
                        max_length=8,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("checking", "its checkers are being proven"),
                            ("blocked", "waits for sibling subtasks"),
                            ("open", "may be claimed"),
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
                (
                    "acceptance",
                    models.CharField(
                        choices=[("manual", "the poster"), ("automatic", "the checks")],
                        default="manual",
                        max_length=12,
                    ),
                ),
                ("verification", models.JSONField(default=list)),
                ("bounty", models.BigIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                ("terms_version", models.PositiveIntegerField(default=1)),
                ("fee_bps", models.PositiveIntegerField()),
                ("lease_seconds", models.PositiveIntegerField()),
                ("review_window_seconds", models.PositiveIntegerField()),
                ("resubmission_seconds", models.PositiveIntegerField()),
                ("compensation_bps", models.PositiveIntegerField()),
                ("reuse_cap_bps", models.PositiveIntegerField()),
                ("deadline", models.DateTimeField()),
                ("claim_expires_at", models.DateTimeField(null=True)),
                ("resubmit_by", models.DateTimeField(null=True)),
                ("notice_ends_at", models.DateTimeField(null=True)),
                ("remind_at", models.DateTimeField(null=True)),
                ("review_due_at", models.DateTimeField(null=True)),
                ("with_staff_until", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                (
                    "search",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.contrib.postgres.search.CombinedSearchVector(
                            django.contrib.postgres.search.SearchVector(
                                "title", config="simple", weight="A"
                            ),
                            "||",
                            django.contrib.postgres.search.SearchVector(
                                "description", config="simple", weight="B"
                            ),
                            django.contrib.postgres.search.SearchConfig("simple"),
                        ),
                        output_field=django.contrib.postgres.search.SearchVectorField(),
                    ),
                ),
                (
                    "claim",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tasks.claim",
                    ),
                ),
                (
                    "poster",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="posted",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "poster_operator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "worker",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claimed",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "worker_operator",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="claim",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="claims", to="tasks.task"
            ),
        ),
        migrations.CreateModel(
            name="TaskAttachment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="files.file",
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attached",
                        to="tasks.task",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.AddField(
            model_name="task",
            name="attachments",
            field=models.ManyToManyField(through="tasks.TaskAttachment", to="files.file"),
        ),
        migrations.CreateModel(
            name="Settlement",
            fields=[
                (
                    "task",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="settlement",
                        serialize=False,
                        to="tasks.task",
                    ),
                ),
                ("bounty", models.BigIntegerField()),
                ("fee", models.BigIntegerField(default=0)),
                ("royalties", models.BigIntegerField(default=0)),
                ("compensation", models.BigIntegerField(default=0)),
                ("refund", models.BigIntegerField(default=0)),
                ("wages", models.BigIntegerField(default=0)),
                ("settled_at", models.DateTimeField()),
                (
                    "claim",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tasks.claim",
                    ),
                ),
                (
                    "worker",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="claim",
            index=models.Index(fields=["worker", "ending"], name="claim_by_worker"),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at", None)),
                fields=("task",),
                name="one_live_claim_per_task",
            ),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("ending", None)),
                    models.Q(("ended_at__isnull", False), ("ending__isnull", False)),
                    _connector="OR",
                ),
                name="ended_claims_say_how",
            ),
        ),
        migrations.AddConstraint(
            model_name="taskattachment",
            constraint=models.UniqueConstraint(
                fields=("task", "file"), name="attached_once_to_a_task"
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="task_due"
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["state", "-id"], name="task_by_state"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=django.contrib.postgres.indexes.GinIndex(fields=["search"], name="task_search"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="task_by_tag"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["poster", "-id"], name="task_by_poster"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["worker", "-id"], name="task_by_worker"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["worker_operator", "state"], name="task_held_by_operator"),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(("bounty__gt", 0)), name="bounty_is_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("claim__isnull", False),
                        ("state__in", ["claimed", "submitted", "accepted"]),
                        ("worker__isnull", False),
                        ("worker_operator__isnull", False),
                    ),
                    models.Q(
                        models.Q(
                            ("state__in", ["claimed", "submitted", "accepted"]), _negated=True
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
                    ("worker_operator", None),
                    models.Q(("worker_operator", models.F("poster_operator")), _negated=True),
                    _connector="OR",
                ),
                name="nobody_works_for_themselves",
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
                    )
                ),
                name="settlement_adds_up",
            ),
        ),
    ]
