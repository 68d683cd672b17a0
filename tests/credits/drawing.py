"""Draws calls that fit what a model's books hold, so that many of them succeed and some do not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID, uuid4

from hypothesis import strategies as st

from credits.amounts import MAX_AMOUNT
from credits.ledger import MAX_LEGS, MAX_POSTINGS
from tests.credits.calls import (
    ISSUANCE,
    NEVER_MADE,
    Account,
    Allocate,
    AllocateMany,
    Balance,
    BalanceAt,
    Balances,
    CloseAccount,
    EntriesOf,
    FindAccount,
    FindEscrow,
    Fund,
    FundMany,
    Held,
    Legs,
    Made,
    OpenAccount,
    Position,
    Post,
    PostMany,
    Read,
    Refund,
    Reverse,
    RollUp,
    Settle,
    SettleMany,
    Statement,
    Withdraw,
    Write,
    nobody,
)
from tests.credits.model import Model

T = TypeVar("T")
W = TypeVar("W", bound=Write)

# Few, so that calls meet.
REFERENCES = 12
WORKS = 4
LITTLE = 10**6
OPENING = 60
"""What each of the first wallets gets, in micro-credits."""

KINDS = ("transfer", "gift")
# Texts at the edge of what is stored, and beyond it.
LONGEST = {"kind": "k" * 40, "memo": "\U0001f600" * 1_000, "subject": "ß" * 200}
NO_ACCOUNT = Account("")
UNSTORABLE = ("nul \0", "half \ud83d", "\udfff")
TOO_LONG = {"reference": 201, "kind": 41, "memo": 1_001, "subject": 201, "work": 197, "child": 197}
BAD_AMOUNTS: tuple[object, ...] = (
    0,
    -1,
    MAX_AMOUNT + 1,
    -MAX_AMOUNT - 1,
    10**30,
    -(10**30),
    0.5,
    1.0,
    True,
    "1",
    None,
)


class Dice(Protocol):
    """What decides between possibilities."""

    def number(self, least: int, most: int) -> int: ...

    def some(self, choices: Sequence[T], least: int, most: int) -> list[T]:
        """Return *least* to *most* different ones."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Hypothesis decides, and finds the smallest example of a failure."""

    data: st.DataObject

    def number(self, least: int, most: int) -> int:
        return self.data.draw(st.integers(least, most))

    def some(self, choices: Sequence[T], least: int, most: int) -> list[T]:
        return self.data.draw(
            st.lists(st.sampled_from(choices), min_size=least, max_size=most, unique=True)
        )


@dataclass(frozen=True, slots=True)
class Thrown:
    """A generator decides: for examples whose choices depend on what threads did."""

    chance: random.Random

    def number(self, least: int, most: int) -> int:
        return self.chance.randint(least, most)

    def some(self, choices: Sequence[T], least: int, most: int) -> list[T]:
        wanted = self.chance.randint(least, most)
        return list(dict.fromkeys(self.chance.sample(choices, len(choices))))[:wanted]


class Cast:
    """Who takes part in one example; names that nobody else has."""

    def __init__(self) -> None:
        self.name = uuid4().hex[:12]
        self.owners = [uuid4(), uuid4()]
        self.works = [f"{self.name}:work{number}" for number in range(WORKS)]

    def opening(self) -> list[Write]:
        """Return the calls that give an example something to work with."""
        wallets: list[Write] = [
            OpenAccount("wallet", owner, f"{self.name}:{number}", floor)
            for number, (owner, floor) in enumerate(
                [(self.owners[0], 0), (self.owners[0], 0), (self.owners[1], -25)]
            )
        ]
        return [*wallets, OpenAccount("pending", None, self.name)]

    def gifts(self, model: Model) -> list[Write]:
        """Return the calls that fill wallets and two escrows, and leave a third with nothing."""
        wallets = wallets_of(model)
        grants = tuple((wallet, OPENING) for wallet in wallets)
        total = OPENING * len(wallets)
        return [
            Post(f"{self.name}:grant", ((ISSUANCE, -total), *grants), kind="grant"),
            Fund(f"{self.name}:fund0", self.works[0], self.owners[0], wallets[0], 20),
            Fund(f"{self.name}:fund1", self.works[1], self.owners[1], wallets[1], 20),
            Fund(f"{self.name}:fund2", self.works[2], self.owners[1], wallets[1], 5),
            Withdraw(f"{self.name}:back2", self.works[2], wallets[1], 5),
        ]


def wallets_of(model: Model) -> list[Account]:
    return [account for account, state in model.accounts.items() if state.kind == "wallet"]


def whole(amount: object) -> int:
    """Return the amount of an earlier request; zero where that was no number."""
    return amount if isinstance(amount, int) else 0


@dataclass(frozen=True, slots=True)
class Requests:
    """Draws calls for the state of a model."""

    dice: Dice
    model: Model
    cast: Cast

    # --- Parts of calls ---------------------------------------------------------------------------

    def number(self, least: int, most: int) -> int:
        return self.dice.number(least, most)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.dice.number(0, len(choices) - 1)]

    def accounts(self, least: int, most: int) -> list[Account]:
        """Return different accounts: mostly wallets, of every kind some."""
        return self.dice.some([*wallets_of(self.model), *self.model.accounts], least, most)

    def account(self) -> Account:
        return self.accounts(1, 1)[0]

    def work(self) -> str:
        return self.one_of(self.cast.works)

    def owner(self) -> UUID | None:
        return self.one_of([*self.cast.owners, None])

    def reference(self) -> str:
        """Return a reference that may have been used before, also for another kind of call."""
        return f"{self.cast.name}:r{self.number(0, REFERENCES)}"

    def texts(self) -> dict[str, str]:
        plain = [{}, {"memo": "for you"}, {"subject": "task_1"}]
        return self.one_of([*plain, *plain, LONGEST])

    def amount(self, source: Account | None = None) -> int:
        """Return an amount: small, or all that *source* can spend, or one more than that."""
        drawn, state = self.number(1, 45), self.model.accounts.get(source or NO_ACCOUNT)
        if drawn <= 36 or state is None or state.floor is None:
            return drawn
        possible = [state.balance, state.balance - state.floor, state.balance - state.floor + 1]
        return self.one_of([amount for amount in possible if 0 < amount < LITTLE] or [drawn])

    # --- Calls that write -------------------------------------------------------------------------

    def post(self) -> Post:
        payer, *payees = self.accounts(2, 5)
        if len(payees) == 1:
            parts = [self.amount(payer)]
            floor = self.model.accounts[payer].floor
            is_rich = floor is not None and floor < -LITTLE
            # Only to who stores it: what derived accounts hold is the sum over all examples.
            if is_rich and self.model.accounts[payees[0]].kind in ("wallet", "pending"):
                parts = [self.one_of([MAX_AMOUNT, MAX_AMOUNT - OPENING, *parts])]
        else:
            # One of them may pay with the first, so that more than one account can fall short.
            parts = [self.number(-8, 20) or 1 for _ in payees]
        if sum(parts) == 0:
            parts[0] += 1 if parts[0] != -1 else 2
        legs = ((payer, -sum(parts)), *zip(payees, parts, strict=True))
        return Post(self.reference(), legs, self.one_of(KINDS), **_but_kind(self.texts()))

    def post_many(self) -> PostMany:
        postings = [self.post() for _ in range(self.number(0, 5))]
        if postings and self.number(0, 3) == 0:
            postings.append(self.one_of(postings))
        return PostMany(tuple(postings))

    def reverse(self) -> Reverse:
        return Reverse(self.reference(), self.one_of([*self._made(), NEVER_MADE]))

    def open_account(self) -> OpenAccount:
        kind, place = self.one_of([("wallet", 0), ("wallet", 1), ("pending", 2), ("wallet", 3)])
        reference = f"{self.cast.name}:{place}"
        return OpenAccount(kind, self.owner(), reference, self.one_of([0, 0, -5, -MAX_AMOUNT]))

    def close_account(self) -> CloseAccount:
        empty = [
            account
            for account, state in self.model.accounts.items()
            if state.balance == 0 and state.floor is not None
        ]
        return CloseAccount(self.one_of([*empty, *empty, *empty, *self.model.accounts]))

    def fund(self) -> Fund:
        source = self.account()
        return Fund(
            self.reference(),
            self.work(),
            self.owner(),
            source,
            self.amount(source),
            **self.texts(),
        )

    def allocate(self) -> Allocate:
        work = self.work()
        amount = self.amount(self.model.escrow(work))
        return Allocate(self.reference(), work, self.work(), self.owner(), amount, **self.texts())

    def withdraw(self) -> Withdraw:
        work = self.work()
        amount = self.amount(self.model.escrow(work))
        return Withdraw(self.reference(), work, self.account(), amount, **self.texts())

    def fund_many(self) -> FundMany:
        source = self.account()
        works = self._shares(source, self.cast.works)
        return FundMany(self.reference(), works, self.owner(), source, **self.texts())

    def allocate_many(self) -> AllocateMany:
        work = self.one_of([*self._open_works(), *self.cast.works])
        others = [one for one in self.cast.works if one != work or self.number(0, 9) == 0]
        children = self._shares(self.model.escrow(work), others)
        return AllocateMany(self.reference(), work, children, self.owner(), **self.texts())

    def _shares(self, source: Account | None, works: Sequence[str]) -> tuple[tuple[str, int], ...]:
        first, *others = self.dice.some(works, 1, WORKS)
        return ((first, self.amount(source)), *((work, self.number(1, 9)) for work in others))

    def _open_works(self) -> list[str]:
        escrows = [(work, self.model.escrow(work)) for work in self.cast.works]
        return [work for work, one in escrows if one and self.model.accounts[one].is_open]

    def settle(self) -> Settle:
        return self._settle(self.work(), self.accounts(1, 3), {})

    def _settle(self, work: str, payees: list[Account], brought: dict[Account, int]) -> Settle:
        escrow = self.model.escrow(work)
        held = self.model.accounts[escrow].balance + brought.get(escrow, 0) if escrow else 0
        if self.number(0, 15) == 0 or (held == 0 and self.number(0, 7) > 0):
            return Settle(work, (), **self.texts())
        # Usually exactly what is held.
        first = held + self.one_of([*[0] * 16, 1, -1]) - (len(payees) - 1)
        parts = ((payees[0], max(first, 1)), *((payee, 1) for payee in payees[1:]))
        return Settle(work, parts, **self.texts())

    def settle_many(self) -> SettleMany:
        ends: list[Settle] = []
        brought: dict[Account, int] = {}
        usual = self._open_works()
        works = self.dice.some(usual if usual and self.number(0, 5) else self.cast.works, 1, WORKS)
        escrows = [one for work in works if (one := self.model.escrow(work))]
        payable = [
            account
            for account, state in self.model.accounts.items()
            if state.is_open and account not in escrows
        ]
        for place, work in enumerate(works):
            # One may bring what a later one pays out, and seldom what an earlier one should have.
            others = escrows[place + 1 :] or escrows[: self.number(0, 7) // 7]
            to_another = others and self.number(0, 2) == 0
            payees = [self.one_of(others)] if to_another else self.dice.some(payable, 1, 3)
            ends.append(self._settle(work, payees, brought))
            for account, amount in ends[-1].parts:
                brought[account] = brought.get(account, 0) + amount
        if self.number(0, 5) == 0:
            ends.append(self.one_of(ends))
        beside = [self.post() for _ in range(self.one_of([0, 0, 1, 2]))]
        return SettleMany(tuple(ends), tuple(beside))

    def refund(self) -> Refund:
        return Refund(self.work(), self.account(), **self.texts())

    def write(self) -> Write:
        """Return any call that writes."""
        kinds: list[Callable[[], Write]] = [
            self.post,
            self.post,
            self.post_many,
            self.reverse,
            self.open_account,
            self.close_account,
            self.fund,
            self.allocate,
            self.fund_many,
            self.allocate_many,
            self.withdraw,
            self.settle,
            self.settle_many,
            self.refund,
            RollUp,
        ]
        return self.one_of(kinds)()

    # --- The same again, something else instead, and what cannot be -------------------------------

    def differently(self, call: Write) -> Write:  # noqa: C901, PLR0911 - a case for each call
        """Return another request under the reference of *call*."""
        texts: list[dict[str, Any]] = [{"kind": "other"}, {"memo": "else"}, {"subject": "else"}]
        match call:
            case PostMany(postings=(Post() as first, *others)):
                return PostMany((cast("Post", self.differently(first)), *others))
            case Post(legs=((payer, amount), (payee, other), *others)):
                legs = ((payer, whole(amount) - 1), (payee, whole(other) + 1), *others)
                return self._changed(call, {"legs": legs}, *texts)
            case Reverse():
                return replace(call, posting=self.one_of([NEVER_MADE, *self._made()]))
            case Fund() | Allocate():
                elsewhere: list[dict[str, Any]] = [{"work": self.work()}, {"owner": uuid4()}]
                more = {"amount": whole(call.amount) + 1}
                return self._changed(call, more, *elsewhere, *texts)
            case FundMany():
                elsewhere = [{"works": self._more(call.works)}, {"owner": uuid4()}]
                return self._changed(call, {"source": self.account()}, *elsewhere, *texts)
            case AllocateMany():
                elsewhere = [{"children": self._more(call.children)}, {"owner": uuid4()}]
                return self._changed(call, {"work": self.work()}, *elsewhere, *texts)
            case SettleMany(ends=(Settle() as one, *ends)):
                return replace(call, ends=(cast("Settle", self.differently(one)), *ends))
            case SettleMany(beside=(Post() as first, *others)):
                return replace(call, beside=(cast("Post", self.differently(first)), *others))
            case Withdraw():
                more = {"amount": whole(call.amount) + 1}
                return self._changed(call, more, {"to": self.account()}, *texts)
            case Settle():
                total = sum(whole(amount) for _, amount in call.parts)
                return self._changed(call, {"parts": ((self.account(), total),)}, *texts)
            case Refund():
                return self._changed(call, {"to": self.account()}, *texts)
        return call

    def _more(self, works: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        (work, amount), *others = works or ((self.work(), 1),)
        return ((work, whole(amount) + 1), *others)

    def _changed(self, call: W, *choices: dict[str, Any]) -> W:
        return replace(call, **self.one_of(choices))

    def spoilt(self, call: Write) -> Write:  # noqa: C901, PLR0911, PLR0912 - a case for each call
        """Return *call* with one thing in it that can never be right."""
        match call:
            case PostMany(postings=(Post() as first, *others)):
                wrong = cast("Post", self.spoilt(first))
                too_many = (first,) * (MAX_POSTINGS + 1)
                huge = tuple(
                    replace(first, reference=f"{first.reference}:{place}", legs=_moving(MAX_AMOUNT))
                    for place in range(2)
                )
                return PostMany(self.one_of([(*others, wrong), too_many, huge]))
            case Post():
                if self.number(0, 2) == 0:
                    return self._with_a_wrong_text(call, ["reference", "kind", "memo", "subject"])
                return replace(call, legs=self._wrong_legs(call.legs))
            case Reverse():
                return self._with_a_wrong_text(call, ["reference", "memo"])
            case OpenAccount():
                if self.number(0, 1) == 0:
                    return replace(call, floor=self.one_of([1, -MAX_AMOUNT - 1, 10**30]))
                return self._with_a_wrong_text(call, ["reference", "kind"])
            case CloseAccount():
                return CloseAccount(nobody(self.one_of([0, -1])))
            case FundMany():
                if self.number(0, 2) == 0:
                    return self._with_a_wrong_text(call, ["reference", "kind", "memo", "subject"])
                return replace(call, works=self._wrong_shares(call.works))
            case AllocateMany():
                if self.number(0, 2) == 0:
                    texts = ["reference", "work", "kind", "memo", "subject"]
                    return self._with_a_wrong_text(call, texts)
                return replace(call, children=self._wrong_shares(call.children))
            case SettleMany(ends=(Settle() as one, *ends)):
                wrong = cast("Post", self.spoilt(self.post()))
                end = cast("Settle", self.spoilt(one))
                most = replace(one, parts=((nobody(), MAX_AMOUNT),))
                return self.one_of(
                    [
                        SettleMany((*ends, end), call.beside),
                        SettleMany(call.ends, (*call.beside, wrong)),
                        SettleMany((one,) * (MAX_POSTINGS + 1), call.beside),
                        SettleMany((most, most), call.beside),
                    ]
                )
            case Settle(parts=()):
                return self._with_a_wrong_text(call, ["work", "kind", "memo", "subject"])
            case Settle(parts=((first, amount), *others)):
                if self.number(0, 2) == 0:
                    return self._with_a_wrong_text(call, ["work", "kind", "memo", "subject"])
                wrong_parts: list[Legs] = [
                    ((first, self._wrong_amount()), *others),
                    ((nobody(), amount), *others),
                    ((nobody(-1), amount), *others),
                    tuple((nobody(number), 1) for number in range(MAX_LEGS)),
                    ((first, MAX_AMOUNT), (nobody(), MAX_AMOUNT)),
                ]
                return replace(call, parts=self.one_of(wrong_parts))
            case Refund():
                if self.number(0, 1) == 0:
                    return replace(call, to=nobody(self.one_of([0, -1])))
                return self._with_a_wrong_text(call, ["work", "kind", "memo", "subject"])
            case Fund() | Allocate() | Withdraw():
                drawn = self.number(0, 2)
                if drawn == 0:
                    return replace(call, amount=self._wrong_amount())
                if drawn == 1 and isinstance(call, Fund):
                    return replace(call, source=nobody(self.one_of([0, -1])))
                if drawn == 1 and isinstance(call, Withdraw):
                    return replace(call, to=nobody(self.one_of([0, -1])))
                texts = ["reference", "work", "kind", "memo", "subject"]
                return self._with_a_wrong_text(
                    call, [*texts, "child"] if isinstance(call, Allocate) else texts
                )
        return call

    def _wrong_shares(self, works: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        (work, amount), *others = works
        too_long = "x" * TOO_LONG["work"]
        return self.one_of(
            [
                (),
                ((work, self._wrong_amount()), *others),
                *(((wrong, amount), *others) for wrong in [*UNSTORABLE, too_long, ""]),
                tuple((f"{work}{number}", 1) for number in range(MAX_LEGS)),
                ((work, MAX_AMOUNT), (f"{work}+", MAX_AMOUNT)),
            ]
        )

    def _wrong_amount(self) -> int:
        return cast("int", self.one_of(BAD_AMOUNTS))

    def _with_a_wrong_text(self, call: W, fields: Sequence[str]) -> W:
        name = self.one_of(fields)
        wrong = [*UNSTORABLE, "x" * TOO_LONG[name], "x" * 1_000_000]
        if name not in ("memo", "subject"):
            wrong.append("")
        if name == "reference" and isinstance(call, OpenAccount):
            wrong.remove("")
        return replace(call, **{name: self.one_of(wrong)})  # type: ignore[arg-type]

    def _wrong_legs(self, legs: Legs) -> Legs:
        (first, amount), (second, other), *rest = legs
        wrong: list[Legs] = [
            (),
            legs[:1],
            ((first, amount + 1), (second, other), *rest),
            ((first, amount), (first, -amount)),
            ((nobody(), amount), (second, other), *rest),
            ((nobody(-1), amount), (second, other), *rest),
            ((nobody(), -1), (nobody(1), 1)),
            ((first, self._wrong_amount()), (second, other), *rest),
            ((first, 0), (second, 0)),
            ((first, -(10**30)), (second, 10**30)),
            _moving(MAX_AMOUNT, MAX_AMOUNT),
            tuple((nobody(place), 1 if place % 2 else -1) for place in range(1_000)),
            ((nobody(), -MAX_LEGS), *((nobody(place + 1), 1) for place in range(MAX_LEGS))),
        ]
        return self.one_of(wrong)

    # --- Calls that read --------------------------------------------------------------------------

    def read(self) -> Read:
        """Return any call that reads."""
        account, instants = self.account(), [at for at, _ in self.model.instants]
        stored = self.model.accounts[account].floor is not None
        reads: list[Callable[[], Read]] = [
            lambda: Balance(self.one_of([account, nobody()])),
            lambda: Balances((account, nobody(), *self.accounts(1, 3))),
            lambda: Position(self.one_of(self.cast.owners)),
            lambda: EntriesOf(self.one_of([NEVER_MADE, *self._made()])),
            lambda: FindAccount("wallet", self.owner(), f"{self.cast.name}:{self.number(0, 3)}"),
            lambda: Held(self.work()),
            lambda: FindEscrow(self.work()),
        ]
        if stored:
            reads += [lambda: self._statement(account, instants)] * 3
        if instants:
            seen = self.one_of([account, account, nobody()])
            reads += [lambda: BalanceAt(seen, self.one_of(instants))] * 3
        return self.one_of(reads)()

    def _made(self) -> list[Made]:
        return [posting.name for posting in self.model.postings.values()]

    def _statement(self, account: Account, instants: Sequence[datetime]) -> Statement:
        return Statement(
            self.one_of([account, account, account, account, nobody()]),
            limit=self.one_of([1, 2, 10_000]),
            before=self.one_of([None, None, 0, 1, 2, 5, 2**63 - 1]),
            kinds=self.one_of([None, None, (), ("transfer",), ("fund", "gift")]),
            since=self.one_of([None, *instants]),
            until=self.one_of([None, *instants]),
        )


def _but_kind(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name != "kind"}


def _moving(*amounts: int) -> Legs:
    """Return legs between accounts that do not exist, each moving an amount."""
    given = tuple((nobody(place), -amount) for place, amount in enumerate(amounts))
    taken = tuple((nobody(1_000 + place), amount) for place, amount in enumerate(amounts))
    return given + taken
