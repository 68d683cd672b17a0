"""The ledger's calls as values, and what performing one on the real ledger came to.

In a call, accounts and postings have names of the test's own, which a model can know beforehand;
`Names` tells which id of the database each name stands for.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from credits import errors, escrow, ledger, rollup


@dataclass(frozen=True, slots=True)
class Account:
    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """A posting; 0 is one that was never made."""

    number: int


ISSUANCE = Account("issuance")
FEES = Account("fees")
NEVER_MADE = Made(0)
ANYTHING = object()
"""Where a model cannot know what a call returns."""

_NOBODY = "nobody"
_NO_ID = 2**62
_FIRST_STORED = 1_000
Legs = tuple[tuple[Account, int], ...]


def nobody(number: int = 0) -> Account:
    """Return an account that does not exist; below zero, with an id like those of the ledger's."""
    return Account(f"{_NOBODY}{number}")


# --- Calls that write -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Post:
    reference: str
    legs: Legs
    kind: str = "transfer"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PostMany:
    postings: tuple[Post, ...]


@dataclass(frozen=True, slots=True)
class Reverse:
    reference: str
    posting: Made
    memo: str = ""


@dataclass(frozen=True, slots=True)
class OpenAccount:
    kind: str
    owner: UUID | None
    reference: str = ""
    floor: int = 0


@dataclass(frozen=True, slots=True)
class CloseAccount:
    account: Account


@dataclass(frozen=True, slots=True)
class Fund:
    reference: str
    work: str
    owner: UUID | None
    source: Account
    amount: int
    kind: str = "fund"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Allocate:
    reference: str
    work: str
    child: str
    owner: UUID | None
    amount: int
    kind: str = "allocate"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class FundMany:
    reference: str
    works: tuple[tuple[str, int], ...]
    owner: UUID | None
    source: Account
    kind: str = "fund"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class AllocateMany:
    reference: str
    work: str
    children: tuple[tuple[str, int], ...]
    owner: UUID | None
    kind: str = "allocate"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw:
    reference: str
    work: str
    to: Account
    amount: int
    kind: str = "withdraw"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    work: str
    parts: Legs
    kind: str = "settle"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class SettleMany:
    ends: tuple[Settle, ...]
    beside: tuple[Post, ...] = ()


@dataclass(frozen=True, slots=True)
class Refund:
    work: str
    to: Account
    kind: str = "refund"
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class RollUp:
    """Folds what is settled of the derived accounts: a model sees no difference."""


# --- Calls that read ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Balance:
    account: Account


@dataclass(frozen=True, slots=True)
class Balances:
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class BalanceAt:
    account: Account
    at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    owner: UUID


@dataclass(frozen=True, slots=True)
class Statement:
    account: Account
    limit: int = 1_000
    before: int | None = None
    kinds: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntriesOf:
    posting: Made


@dataclass(frozen=True, slots=True)
class FindAccount:
    kind: str
    owner: UUID | None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    work: str


@dataclass(frozen=True, slots=True)
class FindEscrow:
    work: str


Write = (
    Post
    | PostMany
    | Reverse
    | OpenAccount
    | CloseAccount
    | Fund
    | Allocate
    | FundMany
    | AllocateMany
    | Withdraw
    | Settle
    | SettleMany
    | Refund
    | RollUp
)
Read = (
    Balance
    | Balances
    | BalanceAt
    | Position
    | Statement
    | EntriesOf
    | FindAccount
    | Held
    | FindEscrow
)
Call = Write | Read


# --- Outcomes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Returned:
    """What a call returned: names in a model's prediction, ids where it was performed."""

    value: object


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a call raised, with the facts that it carried, in the order of `FACTS`."""

    error: type[Exception]
    facts: tuple[object, ...] = ()


Outcome = Returned | Refusal

FACTS: dict[type[Exception], tuple[str, ...]] = {
    errors.InvalidLegs: ("code", "account"),
    errors.UnbalancedLegs: ("total",),
    errors.InvalidText: ("field",),
    errors.InvalidReference: ("field",),
    errors.InsufficientCredits: ("account", "required", "available"),
    errors.BalanceTooLarge: ("account",),
    errors.AccountClosed: ("account",),
    errors.AccountNotEmpty: ("account", "balance"),
    errors.AccountStaysOpen: ("account",),
    errors.UnknownAccount: ("account",),
    errors.UnknownPosting: ("posting",),
    errors.AlreadyReversed: (),
    errors.ReferenceReused: ("reference", "posting"),
    errors.EscrowEmpty: ("work",),
    errors.EscrowMismatch: ("work", "held", "parts"),
    ValueError: (),
}


@dataclass
class Names:
    """Which account or posting of the database a name of the test's stands for."""

    ids: dict[Account | Made, int | UUID] = field(
        default_factory=lambda: {
            ISSUANCE: ledger.ISSUANCE,
            FEES: ledger.FEES,
            NEVER_MADE: uuid4(),
        }
    )
    named: dict[int | UUID, Account | Made] = field(init=False)

    def __post_init__(self) -> None:
        self.named = {known: name for name, known in self.ids.items()}

    def copy(self) -> "Names":
        return Names(dict(self.ids))

    def account(self, name: Account) -> ledger.AccountId:
        if name.name.startswith(_NOBODY):
            number = int(name.name.removeprefix(_NOBODY))
            return ledger.AccountId(_FIRST_STORED + number if number < 0 else _NO_ID + number)
        known = self.ids[name]
        assert isinstance(known, int)
        return ledger.AccountId(known)

    def posting(self, name: Made) -> UUID:
        known = self.ids[name]
        assert isinstance(known, UUID)
        return known

    def stands_for(self, name: Account | Made, actual: object) -> bool:
        """Say whether *name* is *actual*; a name and an id that are both new become a pair."""
        if isinstance(name, Account) and name.name.startswith(_NOBODY):
            return actual == self.account(name)
        if not isinstance(actual, int | UUID):
            return False
        if name in self.ids or actual in self.named:
            return self.ids.get(name) == actual
        self.ids[name] = actual
        self.named[actual] = name
        return True


def fits(expected: object, actual: object, names: Names) -> bool:
    """Say whether *actual* is what a model expected; new names are learned on the way."""
    if expected is ANYTHING:
        return True
    if isinstance(expected, Account | Made):
        return names.stands_for(expected, actual)
    if isinstance(expected, Returned | Refusal):
        return type(expected) is type(actual) and all(
            fits(getattr(expected, one.name), getattr(actual, one.name), names)
            for one in fields(expected)
        )
    if isinstance(expected, tuple):
        return (
            isinstance(actual, tuple)
            and len(expected) == len(actual)
            and all(map(fits, expected, actual, [names] * len(expected)))
        )
    return type(expected) is type(actual) and expected == actual


# --- Performing -----------------------------------------------------------------------------------


def perform(call: Call, names: Names, before_end: Callable[[], object] | None = None) -> Outcome:
    """Make the real call, behind a savepoint or in a transaction of its own.

    *before_end* is called while the transaction of a call that was not refused is still open.
    """
    # A page reads without a transaction, except where somebody has one.
    alone = isinstance(call, Read) and not connection.in_atomic_block and before_end is None
    try:
        with nullcontext() if alone else transaction.atomic():
            value = _PERFORMED_BY[type(call)](call, names)
            if before_end is not None:
                before_end()
            return Returned(value)
    except Exception as error:  # noqa: BLE001 - an outcome: the model says which error is right
        facts = FACTS.get(type(error))
        # An error that no model expects is shown with its words.
        shown = (str(error),) if facts is None else tuple(getattr(error, one) for one in facts)
        return Refusal(type(error), shown)


def _posted(posted: ledger.Posted | None) -> tuple[bool, UUID] | None:
    return None if posted is None else (posted.replayed, posted.id)


def _legs(call: Post, names: Names) -> list[ledger.Leg]:
    return [ledger.Leg(names.account(account), amount) for account, amount in call.legs]


def _texts(
    call: Post | Fund | Allocate | FundMany | AllocateMany | Withdraw | Settle | Refund,
) -> dict[str, str]:
    return {"kind": call.kind, "memo": call.memo, "subject": call.subject}


def _post(call: Post, names: Names) -> object:
    return _posted(
        ledger.post(reference=call.reference, legs=_legs(call, names), **_texts(call)),
    )


def _new(postings: tuple[Post, ...], names: Names) -> list[ledger.NewPosting]:
    return [
        ledger.NewPosting(reference=one.reference, legs=_legs(one, names), **_texts(one))
        for one in postings
    ]


def _post_many(call: PostMany, names: Names) -> object:
    return tuple(map(_posted, ledger.post_many(_new(call.postings, names))))


def _reverse(call: Reverse, names: Names) -> object:
    posting = names.posting(call.posting)
    return _posted(ledger.reverse(posting, reference=call.reference, memo=call.memo))


def _open_account(call: OpenAccount, names: Names) -> object:
    return ledger.open_account(
        kind=call.kind, owner=call.owner, reference=call.reference, floor=call.floor
    )


def _close_account(call: CloseAccount, names: Names) -> object:
    ledger.close_account(names.account(call.account))
    return None


def _fund(call: Fund, names: Names) -> object:
    return _posted(
        escrow.fund(
            work=call.work,
            owner=call.owner,
            source=names.account(call.source),
            amount=call.amount,
            reference=call.reference,
            **_texts(call),
        )
    )


def _allocate(call: Allocate, names: Names) -> object:
    return _posted(
        escrow.allocate(
            work=call.work,
            child=call.child,
            owner=call.owner,
            amount=call.amount,
            reference=call.reference,
            **_texts(call),
        )
    )


def _fund_many(call: FundMany, names: Names) -> object:
    return _posted(
        escrow.fund_many(
            works=dict(call.works),
            owner=call.owner,
            source=names.account(call.source),
            reference=call.reference,
            **_texts(call),
        )
    )


def _allocate_many(call: AllocateMany, names: Names) -> object:
    return _posted(
        escrow.allocate_many(
            work=call.work,
            children=dict(call.children),
            owner=call.owner,
            reference=call.reference,
            **_texts(call),
        )
    )


def _withdraw(call: Withdraw, names: Names) -> object:
    return _posted(
        escrow.withdraw(
            work=call.work,
            to=names.account(call.to),
            amount=call.amount,
            reference=call.reference,
            **_texts(call),
        )
    )


def _parts(call: Settle, names: Names) -> dict[ledger.AccountId, int]:
    return {names.account(account): amount for account, amount in call.parts}


def _settle(call: Settle, names: Names) -> object:
    return _posted(escrow.settle(work=call.work, parts=_parts(call, names), **_texts(call)))


def _settle_many(call: SettleMany, names: Names) -> object:
    ends = [escrow.End(one.work, _parts(one, names), **_texts(one)) for one in call.ends]
    return tuple(map(_posted, escrow.settle_many(ends, _new(call.beside, names))))


def _refund(call: Refund, names: Names) -> object:
    return _posted(escrow.refund(work=call.work, to=names.account(call.to), **_texts(call)))


def _roll_up(call: RollUp, names: Names) -> object:
    return rollup.roll_up()


def _balance(call: Balance, names: Names) -> object:
    return ledger.balance(names.account(call.account))


def _balances(call: Balances, names: Names) -> object:
    ids = [names.account(account) for account in call.accounts]
    held = ledger.balances(ids)
    return tuple(held.get(one) for one in ids)


def _balance_at(call: BalanceAt, names: Names) -> object:
    return ledger.balance_at(names.account(call.account), call.at)


def _position(call: Position, names: Names) -> object:
    return tuple(sorted(ledger.position(call.owner).items()))


def _statement(call: Statement, names: Names) -> object:
    lines = ledger.statement(
        names.account(call.account),
        limit=call.limit,
        before=call.before,
        kinds=call.kinds,
        since=call.since,
        until=call.until,
    )
    times = [line.created_at for line in lines]
    assert times == sorted(times, reverse=True), "newest first"
    return tuple(
        (
            line.seq,
            line.posting_id,
            line.kind,
            line.amount,
            line.balance_after,
            line.subject,
            line.memo,
        )
        for line in lines
    )


def _entries_of(call: EntriesOf, names: Names) -> object:
    legs = ledger.entries_of(names.posting(call.posting))
    assert [leg.account for leg in legs] == sorted(leg.account for leg in legs), "by account"
    # A model does not know the order of ids; all accounts of a posting that stands have names.
    named = [(names.named[leg.account], leg.amount) for leg in legs]
    return frozenset((name, amount) for name, amount in named)


def _find_account(call: FindAccount, names: Names) -> object:
    return ledger.find_account(kind=call.kind, owner=call.owner, reference=call.reference)


def _held(call: Held, names: Names) -> object:
    return escrow.held(call.work)


def _find_escrow(call: FindEscrow, names: Names) -> object:
    return escrow.find(call.work)


_PERFORMED_BY: dict[type[Any], Callable[[Any, Names], object]] = {
    Post: _post,
    PostMany: _post_many,
    Reverse: _reverse,
    OpenAccount: _open_account,
    CloseAccount: _close_account,
    Fund: _fund,
    Allocate: _allocate,
    FundMany: _fund_many,
    AllocateMany: _allocate_many,
    Withdraw: _withdraw,
    Settle: _settle,
    SettleMany: _settle_many,
    Refund: _refund,
    RollUp: _roll_up,
    Balance: _balance,
    Balances: _balances,
    BalanceAt: _balance_at,
    Position: _position,
    Statement: _statement,
    EntriesOf: _entries_of,
    FindAccount: _find_account,
    Held: _held,
    FindEscrow: _find_escrow,
}
