import django.contrib.postgres.fields
import django.db.models.deletion
import marketplace.foundation.clock
import marketplace.foundation.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("delivery", "0004_entries"),
        ("files", "0001_initial"),
        ("tasks", "0004_disputes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Dispute",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        choices=[
                            ("poster", "the poster disputes a delivery"),
                            ("worker", "the worker disputes a rejection"),
                            ("checks", "a check could not run on a task that checks accept"),
                            ("silence", "the poster of a contest stayed silent"),
                        ],
                        max_length=8,
                    ),
                ),
                ("reason", models.TextField(blank=True, default="", max_length=5000)),
                ("deposit", models.BigIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("evidence", "both sides hand in evidence"),
                            ("voting", "a panel votes"),
                            ("administrator", "no panel could be seated: an administrator decides"),
                            ("decided", "decided, and may be appealed against"),
                            ("appealed", "an administrator decides about the appeal"),
                            ("settled", "the escrow is divided"),
                        ],
                        max_length=13,
                    ),
                ),
                (
                    "opened_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                ("due_at", models.DateTimeField(null=True)),
                (
                    "pool",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=39), default=list, size=None
                    ),
                ),
                ("seed", models.BinaryField(max_length=32, null=True)),
                ("redraws", models.PositiveSmallIntegerField(default=0)),
                ("appeal_reason", models.TextField(blank=True, default="", max_length=5000)),
                ("settled_at", models.DateTimeField(null=True)),
                ("share_bps", models.PositiveIntegerField(null=True)),
                (
                    "appellant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
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
                    "delivery",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disputes",
                        to="delivery.delivery",
                    ),
                ),
                (
                    "opener",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "task",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="dispute",
                        to="tasks.task",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("on_appeal", models.BooleanField()),
                (
                    "decided_by",
                    models.CharField(
                        choices=[
                            ("panel", "the panel"),
                            ("administrator", "an administrator"),
                            ("default", "the checks, for nobody else did"),
                        ],
                        max_length=13,
                    ),
                ),
                ("share_bps", models.PositiveIntegerField()),
                ("rationale", models.TextField(blank=True, default="", max_length=5000)),
                (
                    "decided_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                (
                    "administrator",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "dispute",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to="disputes.dispute",
                    ),
                ),
            ],
            options={
                "ordering": ["on_appeal"],
            },
        ),
        migrations.CreateModel(
            name="Evidence",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("text", models.TextField(max_length=10000)),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "dispute",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evidence",
                        to="disputes.dispute",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="EvidenceFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                (
                    "evidence",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attached",
                        to="disputes.evidence",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="files.file",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.AddField(
            model_name="evidence",
            name="files",
            field=models.ManyToManyField(through="disputes.EvidenceFile", to="files.file"),
        ),
        migrations.CreateModel(
            name="Seat",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("redraw", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "has not answered"),
                            ("voted", "has voted"),
                            ("abstained", "had no opinion"),
                            ("lapsed", "stayed silent"),
                        ],
                        default="open",
                        max_length=9,
                    ),
                ),
                (
                    "seated_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                ("share_bps", models.PositiveIntegerField(null=True)),
                ("rationale", models.TextField(blank=True, default="", max_length=5000)),
                ("fee", models.BigIntegerField(default=0)),
                (
                    "dispute",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="seats",
                        to="disputes.dispute",
                    ),
                ),
                (
                    "operator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "panelist",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="seats",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "pick",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="delivery.delivery",
                    ),
                ),
            ],
            options={
                "ordering": ["redraw", "position"],
            },
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["state", "-id"], name="dispute_by_state"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("cause__in", ["poster", "worker"]),
                        ("deposit__gt", 0),
                        ("opener__isnull", False),
                    ),
                    models.Q(
                        ("cause__in", ["checks", "silence"]), ("deposit", 0), ("opener", None)
                    ),
                    _connector="OR",
                ),
                name="openers_deposit",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cause", "silence"), ("claim", None), ("delivery", None)),
                    models.Q(
                        models.Q(("cause", "silence"), _negated=True),
                        ("claim__isnull", False),
                        ("delivery__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="disputes_are_about_a_delivery",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("due_at", None), ("settled_at__isnull", False), ("state", "settled")),
                    models.Q(
                        models.Q(("state", "settled"), _negated=True),
                        ("due_at__isnull", False),
                        ("settled_at", None),
                    ),
                    _connector="OR",
                ),
                name="settled_disputes_are_never_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(
                fields=("dispute", "on_appeal"), name="decided_once_and_once_on_appeal"
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(("share_bps__range", (0, 10000))), name="share_is_a_share"
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("administrator__isnull", False), ("decided_by", "administrator")),
                    models.Q(
                        models.Q(("decided_by", "administrator"), _negated=True),
                        ("administrator", None),
                    ),
                    _connector="OR",
                ),
                name="administrators_have_a_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("on_appeal", False), ("decided_by", "administrator"), _connector="OR"
                ),
                name="appeals_are_for_administrators",
            ),
        ),
        migrations.AddConstraint(
            model_name="evidencefile",
            constraint=models.UniqueConstraint(fields=("evidence", "file"), name="handed_in_once"),
        ),
        migrations.AddIndex(
            model_name="seat",
            index=models.Index(fields=["panelist", "state"], name="seat_by_panelist"),
        ),
        migrations.AddConstraint(
            model_name="seat",
            constraint=models.CheckConstraint(
                condition=models.Q(("position__range", (1, 3))), name="seats_are_numbered"
            ),
        ),
        migrations.AddConstraint(
            model_name="seat",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("open", "voted"))),
                fields=("dispute", "position"),
                name="one_panelist_per_seat",
            ),
        ),
        migrations.AddConstraint(
            model_name="seat",
            constraint=models.UniqueConstraint(
                fields=("dispute", "operator"), name="one_seat_per_operator_and_panel"
            ),
        ),
        migrations.AddConstraint(
            model_name="seat",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("state", "open")),
                    models.Q(
                        models.Q(("state", "open"), _negated=True), ("ended_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="ended_seats_say_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="seat",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("pick", None), ("share_bps__range", (0, 10000)), ("state", "voted")),
                    models.Q(("pick__isnull", False), ("share_bps", None), ("state", "voted")),
                    models.Q(
                        models.Q(("state", "voted"), _negated=True),
                        ("pick", None),
                        ("share_bps", None),
                    ),
                    _connector="OR",
                ),
                name="votes_are_a_share_or_a_pick",
            ),
        ),
    ]
