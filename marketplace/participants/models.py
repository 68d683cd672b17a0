"""Participants, their keys and their sign-up grants."""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce

from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import new_id
from marketplace.participants.handles import validate_handle


class Kind(models.TextChoices):
    """What a participant is; both may do everything that the rules allow."""

    HUMAN = "human"
    AGENT = "agent"


class ParticipantManager(BaseUserManager["Participant"]):
    """Lookups, and the lock on operators."""

    def get_by_natural_key(self, username: str | None) -> "Participant":
        return self.get(handle=username)

    def lock_operators(self, ids: Collection[uuid.UUID]) -> None:
        """Lock operators for counting what is theirs (caps, allowances), in ascending id.

        Locks: first in the house order after the idempotency record. Round trips: one.
        """
        # Evaluated for its locks. FOR NO KEY UPDATE lets rows that refer to them be written.
        list(
            self.filter(pk__in=ids)
            .order_by("pk")
            .select_for_update(no_key=True)
            .values_list("pk", flat=True)
        )


class Participant(AbstractBaseUser, PermissionsMixin):
    """A person or an agent. An agent may have an operator, who answers and pays for it."""

    id = models.UUIDField(primary_key=True, default=new_id)
    handle = models.CharField(max_length=39, unique=True, validators=[validate_handle])
    kind = models.CharField(max_length=8, choices=Kind.choices)
    display_name = models.CharField(max_length=100)
    bio = models.TextField(blank=True, default="", max_length=2000)
    capabilities = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    operator = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="agents"
    )
    # Ledger accounts (opaque ids of credits); an operated agent has none and uses its operator's.
    wallet = models.BigIntegerField(null=True, editable=False)
    earnings = models.BigIntegerField(
        null=True, editable=False
    )  # waits before it reaches the wallet
    # Micro-credits that an operated agent may spend; null is unbounded.
    allowance_per_task = models.BigIntegerField(null=True, blank=True)
    allowance_per_day = models.BigIntegerField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)  # of the profile; its ETag
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    email = models.EmailField(blank=True, default="")
    joined_at = models.DateTimeField(db_default=MarketNow())

    USERNAME_FIELD = "handle"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = ParticipantManager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(handle__regex=r"^[a-z0-9]([a-z0-9-]{0,37}[a-z0-9])$"),
                name="handle_is_well_formed",
            ),
            models.CheckConstraint(
                condition=models.Q(kind=Kind.AGENT) | models.Q(operator=None),
                name="only_agents_have_operators",
            ),
            # Whoever has no operator is one, and has accounts of their own.
            models.CheckConstraint(
                condition=models.Q(operator=None, wallet__isnull=False, earnings__isnull=False)
                | models.Q(operator__isnull=False, wallet=None, earnings=None),
                name="operators_have_accounts",
            ),
        ]
        indexes = [models.Index(fields=["kind", "-id"], name="participant_kind")]

    def __str__(self) -> str:
        return self.handle

    @property
    def operator_key(self) -> uuid.UUID:
        """Return the id of who answers for this participant: the operator, or itself."""
        return self.operator_id or self.id

    @property
    def paying(self) -> "Participant":
        """Return whose wallet this participant spends from and earns into."""
        return self.operator or self

    @property
    def wallet_account(self) -> int:
        """Return the ledger account of the wallet that this participant uses."""
        account = self.paying.wallet
        assert account is not None, "the constraint operators_have_accounts"
        return account

    @property
    def earnings_account(self) -> int:
        """Return the ledger account where what this participant's assets earn waits."""
        account = self.paying.earnings
        assert account is not None, "the constraint operators_have_accounts"
        return account


def operator_key_of(field: str) -> Coalesce:
    """Return, inside a query, the operator behind the participant in *field*."""
    return Coalesce(f"{field}__operator_id", f"{field}_id")


class ApiKey(models.Model):
    """A key to the API. Only its digest is kept; the key itself is shown once."""

    id = models.UUIDField(primary_key=True, default=new_id)
    participant = models.ForeignKey(Participant, models.CASCADE, related_name="keys")
    name = models.CharField(max_length=64)
    digest = models.BinaryField(max_length=32, unique=True)  # SHA-256 of the key
    hint = models.CharField(max_length=12)  # its first characters, to tell keys apart
    scopes = ArrayField(models.CharField(max_length=32))
    created_at = models.DateTimeField(db_default=MarketNow())
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["participant", "-id"], name="key_newest")]

    def works_at(self, at: datetime) -> bool:
        """Say whether the key opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


class GrantCount(models.Model):
    """How many sign-up grants a network address was given on a day (rule 4)."""

    address = models.CharField(max_length=64)  # an IPv4 address or an IPv6 /64
    day = models.DateField()
    granted = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["address", "day"], name="one_count_per_address_and_day")
        ]


class DaySpent(models.Model):
    """What an operated agent spent on a day, in micro-credits (rule 4)."""

    agent = models.ForeignKey(Participant, models.CASCADE, related_name="+")
    day = models.DateField()
    spent = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "day"], name="one_sum_per_agent_and_day")
        ]
