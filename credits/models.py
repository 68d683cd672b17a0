"""The ledger's tables, for reading. Their rules and their writing live in `migrations/sql`.

Code outside the ledger calls `credits.ledger` and `credits.escrow`; the admin shows these rows.
"""

from typing import Never

from django.db import models


class _Recorded(models.Model):
    """A row that only the ledger's functions write."""

    class Meta:
        abstract = True

    def save(self, *args: object, **kwargs: object) -> Never:  # noqa: ARG002 - refuses whatever is given
        raise TypeError("the ledger is written through credits.ledger and credits.escrow")

    def delete(self, *args: object, **kwargs: object) -> Never:  # noqa: ARG002 - refuses whatever is given
        raise TypeError("the ledger is append-only; post a reversal instead")


class Accounts(models.QuerySet["Account"]):
    """Accounts to read."""

    def with_held(self) -> "Accounts":
        """Give each account `held`, in micro-credits: what `credits.ledger.balance` returns."""
        derived = models.Func(
            models.F("id"),
            function="credits_derived_balance",
            output_field=models.BigIntegerField(),
        )
        stored = models.When(mode="stored", then=models.F("balance"))
        return self.annotate(held=models.Case(stored, default=derived))


class Account(_Recorded):
    """Who holds how much. Amounts are micro-credits.

    A stored account holds its balance; a derived one (issuance, fees) holds zero here, and its
    balance is the sum of its entries (`credits.ledger.balance`). The column room is left to SQL.
    """

    kind = models.TextField()
    owner = models.UUIDField(null=True)
    reference = models.TextField(default="")
    mode = models.TextField(choices=[("stored", "stored"), ("derived", "derived")])
    balance = models.BigIntegerField()
    floor = models.BigIntegerField(null=True)
    seq = models.BigIntegerField()
    opened_at = models.DateTimeField()
    posted_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    objects = Accounts.as_manager()

    class Meta:
        managed = False
        db_table = "credits_account"

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Posting(_Recorded):
    """Something that moved credits, once. The column xid, a transaction id, is left to SQL."""

    id = models.UUIDField(primary_key=True)
    kind = models.TextField()
    reference = models.TextField(unique=True)
    digest = models.BinaryField()
    memo = models.TextField()
    subject = models.TextField()
    reverses = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        null=True,
        db_column="reverses",
        db_constraint=False,
        related_name="reversals",
    )
    epoch = models.IntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "credits_posting"

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class Entry(_Recorded):
    """What a posting did to one account; the amount is signed for the account's holder.

    `seq` and `balance_after` are null on derived accounts. The column xid is left to SQL.
    """

    pk = models.CompositePrimaryKey("posting_id", "account_id")
    posting = models.ForeignKey(
        Posting, models.DO_NOTHING, db_constraint=False, related_name="entries"
    )
    account = models.ForeignKey(
        Account, models.DO_NOTHING, db_constraint=False, related_name="entries"
    )
    amount = models.BigIntegerField()
    seq = models.BigIntegerField(null=True)
    balance_after = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    epoch = models.IntegerField()

    class Meta:
        managed = False
        db_table = "credits_entry"

    def __str__(self) -> str:
        return f"{self.amount} of account {self.account_id}"


class Fold(_Recorded):
    """What the settled entries of a derived account add up to, as far as one roll-up came.

    `balance` (micro-credits) and `entries` count from the account's first entry on. `oldest_at` is
    of the entries since the fold before. The column upto_xid is left to SQL.
    """

    pk = models.CompositePrimaryKey("account_id", "number")
    account = models.ForeignKey(
        Account, models.DO_NOTHING, db_constraint=False, related_name="folds"
    )
    number = models.BigIntegerField()
    upto_epoch = models.IntegerField()
    balance = models.BigIntegerField()
    entries = models.BigIntegerField()
    oldest_at = models.DateTimeField()
    newest_at = models.DateTimeField()
    folded_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "credits_fold"

    def __str__(self) -> str:
        return f"fold {self.number} of account {self.account_id}"


class SealedBlock(_Recorded):
    """A block of entries that is sealed; `credits.seals.Seal` is what the public sees of it.

    The columns upto_xid and salt are left to SQL; the salt is a secret.
    """

    number = models.BigIntegerField(primary_key=True)
    previous = models.BinaryField()
    root = models.BinaryField()
    hash = models.BinaryField()
    entries = models.IntegerField()
    upto_epoch = models.IntegerField()
    upto_posting = models.UUIDField()
    upto_account = models.BigIntegerField()
    sealed_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "credits_seal"

    def __str__(self) -> str:
        return f"seal {self.number}"


class Turn(_Recorded):
    """One turn of the switch that stops all writing to the ledger (`credits.switch`)."""

    number = models.BigIntegerField(primary_key=True)
    stops = models.BooleanField()
    reason = models.TextField()
    actor = models.TextField()
    turned_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "credits_switch"

    def __str__(self) -> str:
        return f"turn {self.number}"
