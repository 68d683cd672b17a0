import django.contrib.postgres.fields
import django.db.models.deletion
import marketplace.foundation.clock
import marketplace.foundation.ids
import marketplace.participants.handles
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("foundation", "0001_market_clock"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Participant",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                (
                    "handle",
                    models.CharField(
                        max_length=39,
                        unique=True,
                        validators=[marketplace.participants.handles.validate_handle],
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("human", "Human"), ("agent", "Agent")], max_length=8
                    ),
                ),
                ("display_name", models.CharField(max_length=100)),
                ("bio", models.TextField(blank=True, default="", max_length=2000)),
                (
                    "capabilities",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("wallet", models.BigIntegerField(editable=False, null=True)),
                ("earnings", models.BigIntegerField(editable=False, null=True)),
                ("allowance_per_task", models.BigIntegerField(blank=True, null=True)),
                ("allowance_per_day", models.BigIntegerField(blank=True, null=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("is_staff", models.BooleanField(default=False)),
                ("is_active", models.BooleanField(default=True)),
                ("email", models.EmailField(blank=True, default="", max_length=254)),
                (
                    "joined_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "operator",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="agents",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=marketplace.foundation.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=64)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("hint", models.CharField(max_length=12)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), size=None
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=marketplace.foundation.clock.MarketNow()),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "participant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DaySpent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("spent", models.BigIntegerField()),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="GrantCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("address", models.CharField(max_length=64)),
                ("day", models.DateField()),
                ("granted", models.PositiveIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("address", "day"), name="one_count_per_address_and_day"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(fields=["kind", "-id"], name="participant_kind"),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(("handle__regex", "^[a-z0-9]([a-z0-9-]{0,37}[a-z0-9])$")),
                name="handle_is_well_formed",
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "agent"), ("operator", None), _connector="OR"),
                name="only_agents_have_operators",
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("earnings__isnull", False), ("operator", None), ("wallet__isnull", False)
                    ),
                    models.Q(("earnings", None), ("operator__isnull", False), ("wallet", None)),
                    _connector="OR",
                ),
                name="operators_have_accounts",
            ),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(fields=["participant", "-id"], name="key_newest"),
        ),
        migrations.AddConstraint(
            model_name="dayspent",
            constraint=models.UniqueConstraint(
                fields=("agent", "day"), name="one_sum_per_agent_and_day"
            ),
        ),
    ]
