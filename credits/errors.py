"""What the ledger refuses, and the facts of each refusal. Amounts are micro-credits.

The database raises with a SQLSTATE of class HL and its facts as JSON in DETAIL; `ledger_errors`
turns that into the exception. What Python finds wrong by itself is raised before a round trip, and
leaves the caller's transaction usable. After an error of the database the caller goes on only
behind a savepoint (`transaction.atomic()` around the call).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import DatabaseError


class LedgerError(Exception):
    """The ledger refused; nothing was written."""


class InvalidLegs(LedgerError):
    """The legs cannot be a posting, whatever the accounts hold.

    Attributes:
        code: `not_an_integer`, `zero_amount`, `negative_amount`, `amount_too_large`,
            `account_twice`, `too_few_legs`, `too_many_legs` or `too_many_postings`.
        account: The account of the leg that is wrong; None where it is not about one leg.
    """

    def __init__(self, code: str, detail: str, *, account: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.account = account


class UnbalancedLegs(LedgerError):
    """The legs do not add up to zero.

    Attributes:
        total: What they add up to.
    """

    def __init__(self, *, total: int) -> None:
        super().__init__(f"the legs add up to {total}, not to zero")
        self.total = total


class InvalidText(LedgerError):
    """A text is empty where it must not be, too long, or cannot be stored.

    Attributes:
        field: Which text: `reference`, `kind`, `memo`, `subject` or `work`.
    """

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field


class InvalidReference(InvalidText):
    """The reference is empty, too long, or cannot be stored."""


class InsufficientCredits(LedgerError):
    """An account would fall below its floor.

    Attributes:
        account: Which account.
        required: What the posting takes from it.
        available: What it can spend: its balance less its floor.
    """

    def __init__(self, *, account: int, required: int, available: int) -> None:
        super().__init__(f"account {account} needs {required} and can spend {available}")
        self.account = account
        self.required = required
        self.available = available


class BalanceTooLarge(LedgerError):
    """An account would hold more than `amounts.MAX_AMOUNT`.

    Attributes:
        account: Which account.
    """

    def __init__(self, *, account: int) -> None:
        super().__init__(f"account {account} would hold more than one account may")
        self.account = account


class AccountClosed(LedgerError):
    """A closed account takes no entries, also not back.

    Attributes:
        account: Which account.
    """

    def __init__(self, *, account: int) -> None:
        super().__init__(f"account {account} is closed")
        self.account = account


class AccountNotEmpty(LedgerError):
    """Only an account at zero can be closed.

    Attributes:
        account: Which account.
        balance: What it holds.
    """

    def __init__(self, *, account: int, balance: int) -> None:
        super().__init__(f"account {account} holds {balance}")
        self.account = account
        self.balance = balance


class AccountStaysOpen(LedgerError):
    """A derived account is never locked, so closing it would race with postings.

    Attributes:
        account: Which account.
    """

    def __init__(self, *, account: int) -> None:
        super().__init__(f"account {account} is derived and stays open")
        self.account = account


class UnknownAccount(LedgerError):
    """There is no such account.

    Attributes:
        account: The id that names none.
    """

    def __init__(self, *, account: int) -> None:
        super().__init__(f"there is no account {account}")
        self.account = account


class UnknownPosting(LedgerError):
    """There is no such posting.

    Attributes:
        posting: The id that names none.
    """

    def __init__(self, *, posting: UUID | str) -> None:
        super().__init__(f"there is no posting {posting}")
        self.posting = UUID(str(posting))


class AlreadyReversed(LedgerError):
    """A posting is taken back at most once."""


class ReferenceReused(LedgerError):
    """The reference already names a posting, and that one is different.

    Attributes:
        reference: The reference.
        posting: The posting that it names.
    """

    def __init__(self, *, reference: str, posting: UUID | str) -> None:
        super().__init__(f"the reference {reference!r} already names posting {posting}")
        self.reference = reference
        self.posting = UUID(str(posting))


class EscrowEmpty(LedgerError):
    """Nothing is held for the work: never funded, or ended before.

    Attributes:
        work: The work's reference.
    """

    def __init__(self, *, work: str) -> None:
        super().__init__(f"nothing is held for {work!r}")
        self.work = work


class EscrowMismatch(LedgerError):
    """The parts of a settlement are not exactly what is held.

    Attributes:
        work: The work's reference.
        held: What is held.
        parts: What the parts add up to.
    """

    def __init__(self, *, work: str, held: int, parts: int) -> None:
        super().__init__(f"the parts add up to {parts}, but {held} are held for {work!r}")
        self.work = work
        self.held = held
        self.parts = parts


class AppendOnly(LedgerError):
    """Somebody tried to write past the ledger's functions; a correction is a reversal.

    Attributes:
        table: The table that refused.
    """

    def __init__(self, *, table: str) -> None:
        super().__init__(
            f"{table} is written by the ledger's functions alone; post a reversal instead"
        )
        self.table = table


class DatabaseRestored(LedgerError):
    """The database was restored into another cluster; `SELECT credits_raise_epoch()` goes on.

    Attributes:
        epoch: The epoch that has ended.
    """

    def __init__(self, *, epoch: int) -> None:
        super().__init__(
            f"epoch {epoch} ended when this database was restored; an operator has to raise it"
        )
        self.epoch = epoch


class OutOfSequence(LedgerError):
    """A fold or a seal, written past the ledger's functions, does not follow the one before it.

    Attributes:
        table: The table that refused.
        number: The row's number.
    """

    def __init__(self, *, table: str, number: int) -> None:
        super().__init__(f"row {number} of {table} does not follow the one before it")
        self.table = table
        self.number = number


class UnknownEntry(LedgerError):
    """The posting has no entry of that account, or there is no such posting.

    Attributes:
        posting: The posting's id.
        account: The account.
    """

    def __init__(self, *, posting: UUID, account: int) -> None:
        super().__init__(f"posting {posting} has no entry of account {account}")
        self.posting = posting
        self.account = account


class NotSealedYet(LedgerError):
    """The entry stands in the ledger and in no block yet; the sealer comes to it.

    Attributes:
        posting: The posting's id.
        account: The account.
    """

    def __init__(self, *, posting: UUID, account: int) -> None:
        super().__init__("this entry is not sealed yet")
        self.posting = posting
        self.account = account


class SealBroken(LedgerError):
    """A block's entries are not those that were sealed: somebody changed the books.

    Attributes:
        number: The block's number.
    """

    def __init__(self, *, number: int) -> None:
        super().__init__(f"the entries of block {number} are not those that were sealed")
        self.number = number


class MoneyReadOnly(LedgerError):
    """Somebody, or an audit that found the books wrong, stopped all writing (`credits.switch`)."""

    def __init__(self) -> None:
        super().__init__("money is read-only while the books are looked at")


# HL: Hansa's ledger. The functions in migrations/sql raise them.
_BY_SQLSTATE: dict[str, type[LedgerError]] = {
    "HL001": InsufficientCredits,
    "HL002": AccountClosed,
    "HL003": UnknownAccount,
    "HL004": ReferenceReused,
    "HL005": UnbalancedLegs,
    "HL006": BalanceTooLarge,
    "HL007": EscrowEmpty,
    "HL008": EscrowMismatch,
    "HL009": AccountNotEmpty,
    "HL010": AccountStaysOpen,
    "HL011": DatabaseRestored,
    "HL012": AppendOnly,
    "HL014": UnknownPosting,
    "HL015": InvalidLegs,
    "HL016": OutOfSequence,
    "HL017": MoneyReadOnly,
}


@contextmanager
def ledger_errors() -> Iterator[None]:
    """Raise what the ledger's functions refuse as the exceptions of this module."""
    try:
        yield
    except DatabaseError as error:
        # psycopg's exception; Django's wrapper keeps it as the cause.
        cause: Any = error.__cause__
        named = _BY_SQLSTATE.get(getattr(cause, "sqlstate", None) or "")
        if named is not None:
            raise named(**json.loads(cause.diag.message_detail)) from error
        diagnosis = getattr(cause, "diag", None)
        if diagnosis is not None and diagnosis.constraint_name == "credits_posting_reversed_once":
            raise AlreadyReversed("the posting is reversed already") from error
        raise
