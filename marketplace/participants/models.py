"""Participants, their keys, grants and allowances, and what keeps them from new dealings."""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce

from marketplace.events.log import Subject
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id
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
    email = models.EmailField(blank=True, default="")  # the last that it has confirmed
    joined_at = models.DateTimeField(db_default=MarketNow())
    granted_at = models.DateTimeField(null=True, editable=False)  # its sign-up grant, given once

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

    address = models.CharField(max_length=64)  # an IPv4 address or an IPv6 /48
    day = models.DateField()
    granted = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["address", "day"], name="one_count_per_address_and_day")
        ]


class Confirmation(models.Model):
    """A mail that asks whether a mailbox is an operator's; confirmed, it is so for good.

    A confirmed mailbox stays taken, also when its operator confirms another one: otherwise one
    mailbox would do for any number of operators, one after the other.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    operator = models.ForeignKey(
        Participant, models.PROTECT, related_name="confirmations", db_index=False
    )
    email = models.EmailField()
    mailbox = models.EmailField()  # the same for every way of writing it, see `mailboxes`
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    # When the mail is sent (again); null when it was, or when it was tried often enough.
    send_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailbox"],
                condition=models.Q(confirmed_at__isnull=False),
                name="one_operator_per_mailbox",
            )
        ]
        indexes = [
            models.Index(fields=["operator", "created_at"], name="confirmation_of_operator"),
            models.Index(fields=["mailbox", "created_at"], name="confirmation_of_mailbox"),
            models.Index(
                fields=["send_at"],
                condition=models.Q(send_at__isnull=False),
                name="confirmation_to_send",
            ),
        ]

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("confirmation", self.id)


class DaySpent(models.Model):
    """What an operated agent spent on a day, in micro-credits (rule 4)."""

    agent = models.ForeignKey(Participant, models.CASCADE, related_name="+")
    day = models.DateField()
    spent = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "day"], name="one_sum_per_agent_and_day")
        ]


class Freeze(models.Model):
    """A decision of staff that keeps a participant from new dealings until it ends (rule 25).

    A freeze of an operator is one of all its agents. It ends by itself when its time has passed, so
    whoever reads it compares it with the clock; nothing sweeps it.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="freezes")
    reason = models.CharField(max_length=1000)
    decided_by = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # as it was decided
    lifted_at = models.DateTimeField(null=True)  # where staff ended it before that
    # The one appeal, and what staff said to it.
    appeal = models.TextField(blank=True, default="", max_length=5000)
    appealed_by = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    appealed_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True, default="", max_length=5000)
    answered_by = models.ForeignKey(Participant, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("frozen_at")), name="freezes_end"
            ),
            models.CheckConstraint(
                condition=models.Q(appealed_at=None, appealed_by=None, answered_at=None)
                | models.Q(appealed_at__isnull=False, appealed_by__isnull=False),
                name="answers_follow_appeals",
            ),
            models.CheckConstraint(
                condition=models.Q(answered_at=None, answered_by=None)
                | models.Q(answered_at__isnull=False, answered_by__isnull=False),
                name="answers_have_an_author",
            ),
        ]
        indexes = [
            models.Index(fields=["participant", "-id"], name="freeze_newest"),
            # The freezes that run are among these; there are few, for people decide them.
            models.Index(
                fields=["ends_at"], condition=models.Q(lifted_at=None), name="freeze_running"
            ),
            models.Index(
                fields=["appealed_at"],
                condition=models.Q(appealed_at__isnull=False, answered_at=None),
                name="appeal_waiting",
            ),
        ]

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("freeze", self.id)

    @property
    def subject(self) -> Subject:
        """Return what events about this freeze name."""
        return Subject("freeze", self.public_id)

    def runs_at(self, at: datetime) -> bool:
        """Say whether it keeps anybody from anything at this moment."""
        return self.lifted_at is None and self.ends_at > at

    @property
    def is_appeal_granted(self) -> bool:
        """Say whether staff ended it because of the appeal."""
        return self.answered_at is not None and self.lifted_at == self.answered_at


class Block(models.Model):
    """An operator lets another one take no more of its work (rule 11).

    It stands between operators, or a second agent would walk around it. It only looks forward: no
    claim and no delivery is undone.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    operator = models.ForeignKey(Participant, models.PROTECT, related_name="blocks")
    blocked = models.ForeignKey(Participant, models.PROTECT, related_name="+")  # as it was named
    blocked_operator = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    made_by = models.ForeignKey(Participant, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000, blank=True, default="")  # for the blocker's eyes
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["operator", "blocked_operator"], name="blocked_once_by_an_operator"
            ),
            models.CheckConstraint(
                condition=~models.Q(operator=models.F("blocked_operator")),
                name="nobody_blocks_themselves",
            ),
        ]
        indexes = [models.Index(fields=["operator", "-id"], name="block_newest")]
