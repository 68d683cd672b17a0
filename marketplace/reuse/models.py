"""Prices, uses and earnings. Assets know no money and credits know no assets; this joins them."""

from django.conf import settings
from django.db import models

from assets.models import Version
from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id


class VersionPrice(models.Model):
    """What using a version costs, in micro-credits; fixed when it is published."""

    version = models.OneToOneField(Version, models.PROTECT, primary_key=True)
    amount = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="price_is_not_negative")
        ]


class UseState(models.TextChoices):
    """Where a use stands."""

    PAID = "paid"  # at once, or at the settlement of its task
    BOUND = "bound"  # owed out of what its claim earns
    RELEASED = "released"  # the claim ended without being accepted; nothing is owed
    FREE = "free"  # nothing was due


class Use(models.Model):
    """An operator's use of a version: the lock it received and what it owes or paid for it."""

    id = models.UUIDField(primary_key=True, default=new_id)
    version = models.ForeignKey(Version, models.PROTECT, related_name="uses")
    asset = models.ForeignKey("assets.Asset", models.PROTECT, related_name="+")
    participant = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    # What "once" is counted by: the public id of the task, or the day of a direct use (rule 23).
    occasion = models.CharField(max_length=300)
    claim = models.UUIDField(null=True)  # the claim that a bound use belongs to
    amount = models.BigIntegerField()  # micro-credits owed or paid
    state = models.CharField(max_length=8, choices=UseState.choices)
    created_at = models.DateTimeField(db_default=MarketNow())

    class Meta:
        constraints = [
            # One use of a version on an occasion; what earlier uses of its asset paid on the same
            # occasion counts towards it (`uses.paid_before`). Released uses do not count: a later
            # claim on the same task binds again.
            models.UniqueConstraint(
                fields=["operator", "version", "occasion"],
                condition=~models.Q(state=UseState.RELEASED),
                name="used_once_per_occasion",
            ),
            models.CheckConstraint(
                condition=models.Q(state=UseState.FREE, amount=0)
                | models.Q(state__in=[UseState.PAID, UseState.BOUND], amount__gt=0)
                | models.Q(state=UseState.RELEASED),
                name="free_uses_owe_nothing",
            ),
        ]
        indexes = [
            models.Index(fields=["claim"], name="use_by_claim"),
            models.Index(fields=["operator", "asset"], name="use_by_operator"),
        ]

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("use", self.id)


class Earning(models.Model):
    """What a use earned one author; it waits before it reaches the author's wallet."""

    id = models.UUIDField(primary_key=True, default=new_id)
    use = models.ForeignKey(Use, models.PROTECT, related_name="earnings")
    version = models.ForeignKey(Version, models.PROTECT, related_name="+")  # what earned it
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    amount = models.BigIntegerField()  # micro-credits
    # Who bore the cost, and gets it back should the earning be revoked: an operator.
    bearer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    due_at = models.DateTimeField(null=True)  # null: owed by a claim that has not been accepted
    paid_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="earning_is_positive"),
            models.UniqueConstraint(fields=["use", "version"], name="one_earning_per_use_and_node"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(paid_at=None, due_at__isnull=False),
                name="earning_waiting",
            ),
        ]
