"""Random calls against an independent model that predicts every result, refusal and balance."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits import audit, escrow, ledger
from credits.errors import (
    AccountClosed,
    AlreadyReversed,
    EscrowEmpty,
    EscrowMismatch,
    InsufficientCredits,
    InvalidLegs,
    LedgerError,
    ReferenceReused,
    UnknownPosting,
)
from credits.ledger import Leg, NewPosting, Posted
from tests.credits.cast import a_wallet, unique

pytestmark = pytest.mark.usefixtures("db")

WALLETS = 3
WORKS = 3
OPENING = 50


# --- Calls: what Hypothesis draws; wallets, works and references are small numbers ----------------


@dataclass(frozen=True)
class Move:
    """A posting over wallets; the first gives what the others get."""

    reference: int
    amounts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Batch:
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Fund:
    reference: int
    work: int
    wallet: int
    amount: int


@dataclass(frozen=True)
class Allocate:
    reference: int
    work: int
    child: int
    amount: int


@dataclass(frozen=True)
class Withdraw:
    reference: int
    work: int
    wallet: int
    amount: int


@dataclass(frozen=True)
class Settle:
    """Pays the wallets; *short* is by how much the parts miss what is held at the time."""

    work: int
    wallets: frozenset[int]
    short: int


@dataclass(frozen=True)
class Refund:
    work: int
    wallet: int


@dataclass(frozen=True)
class Reverse:
    reference: int
    reversed: int


Call = Move | Batch | Fund | Allocate | Withdraw | Settle | Refund | Reverse

wallets = st.integers(0, WALLETS - 1)
works = st.integers(0, WORKS - 1)
references = st.integers(0, 11)
amounts = st.integers(1, 40)
moves = st.builds(
    Move,
    references,
    st.lists(
        st.tuples(wallets, st.integers(-3, 30)),
        min_size=1,
        max_size=3,
        unique_by=lambda leg: leg[0],
    ).map(tuple),
)
calls = st.one_of(
    moves,
    st.builds(Batch, st.lists(moves, min_size=1, max_size=4).map(tuple)),
    st.builds(Fund, references, works, wallets, amounts),
    st.builds(Allocate, references, works, works, amounts),
    st.builds(Withdraw, references, works, wallets, amounts),
    st.builds(Settle, works, st.frozensets(wallets, min_size=1), st.sampled_from([0, 0, 0, 1, -1])),
    st.builds(Refund, works, wallets),
    st.builds(Reverse, references, references),
)


OPENINGS: list[Call] = [Fund(100 + work, work, work, 30) for work in range(WORKS - 1)]


# --- The model: names for accounts, plain integers, no database -----------------------------------


class Refused(Exception):
    """What the model expects the ledger to raise."""

    def __init__(self, error: type[LedgerError]) -> None:
        super().__init__(error.__name__)
        self.error = error


@dataclass
class Model:
    balances: dict[str, int]
    closed: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)  # escrows, in the order of their ids
    requests: dict[str, object] = field(default_factory=dict)
    legs: dict[str, dict[str, int]] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)

    def snapshot(self) -> "Model":
        return Model(
            dict(self.balances),
            set(self.closed),
            list(self.opened),
            dict(self.requests),
            dict(self.legs),
            set(self.reversed),
        )

    def order(self, account: str) -> tuple[int, int]:
        """Accounts in the order of their ids: issuance, wallets, then escrows as they opened."""
        if account in self.opened:
            return (2, self.opened.index(account))
        return (0, 0) if account == "issuance" else (1, int(account.removeprefix("wallet")))

    def post(  # noqa: C901 - the ledger's rules, in the order in which they are asked
        self, reference: str, request: object, legs: dict[str, int], ends: str = ""
    ) -> bool:
        """Apply a posting; return whether it repeats an earlier one."""
        if reference in self.requests:
            if self.requests[reference] == request:
                return True
            raise Refused(EscrowEmpty if ends else ReferenceReused)
        for account in sorted(legs, key=self.order):
            if account == "issuance":
                continue
            after = self.balances[account] + legs[account]
            if account == ends and (account in self.closed or not self.balances[account]):
                raise Refused(EscrowEmpty)
            if account == ends and after != 0:
                raise Refused(EscrowMismatch)
            if account in self.closed:
                raise Refused(AccountClosed)
            if after < 0:
                raise Refused(InsufficientCredits)
        for account, amount in legs.items():
            self.balances[account] += amount
        if ends:
            self.closed.add(ends)
        self.requests[reference] = request
        self.legs[reference] = legs
        return False

    def move(self, call: Move) -> bool:
        legs = {f"wallet{wallet}": amount for wallet, amount in call.amounts}
        if 0 in legs.values():
            raise Refused(InvalidLegs)
        total = sum(legs.values())
        if total == 0 and len(legs) < 2:
            raise Refused(InvalidLegs)
        if total != 0:
            legs["issuance"] = -total
        return self.post(f"r{call.reference}", call, legs)

    def open(self, work: int) -> str:
        name = f"work{work}"
        if name not in self.opened:
            self.opened.append(name)
            self.balances[name] = 0
        return name

    def opened_escrow(self, work: int) -> str:
        if f"work{work}" not in self.opened:
            raise Refused(EscrowEmpty)
        return f"work{work}"

    def apply(self, call: Call) -> list[bool]:  # noqa: C901, PLR0911 - a case for each call
        """Apply *call*; return for each posting whether it is a repetition."""
        match call:
            case Move():
                return [self.move(call)]
            case Batch(moves=all_moves):
                # What is malformed is found before anything is posted.
                if any(0 in dict(one.amounts).values() for one in all_moves):
                    raise Refused(InvalidLegs)
                return self.batch(all_moves)
            case Fund(reference, work, wallet, amount):
                legs = {f"wallet{wallet}": -amount, self.open(work): amount}
                return [self.post(f"r{reference}", call, legs)]
            case Allocate(reference, work, child, amount):
                escrow_of_work = self.opened_escrow(work)
                if work == child:
                    raise Refused(InvalidLegs)
                legs = {escrow_of_work: -amount, self.open(child): amount}
                return [self.post(f"r{reference}", call, legs)]
            case Withdraw(reference, work, wallet, amount):
                legs = {self.opened_escrow(work): -amount, f"wallet{wallet}": amount}
                return [self.post(f"r{reference}", call, legs)]
            case Settle(work, _, _):
                name, parts = self.opened_escrow(work), self.parts(call)
                legs = {f"wallet{wallet}": part for wallet, part in parts.items()}
                legs[name] = -sum(parts.values())
                return [self.post(f"end{work}", parts, legs, ends=name)]
            case Refund(work, wallet):
                name = self.opened_escrow(work)
                held = self.balances[name]
                legs = {name: -held, f"wallet{wallet}": held}
                return [self.post(f"end{work}", ("refund", wallet), legs, ends=name)]
            case Reverse(reference, taken):
                original = f"r{taken}"
                if original not in self.legs:
                    raise Refused(UnknownPosting)
                legs = {account: -amount for account, amount in self.legs[original].items()}
                if f"r{reference}" not in self.requests and original in self.reversed:
                    raise Refused(AlreadyReversed)
                replayed = self.post(f"r{reference}", ("reverse", taken), legs)
                self.reversed.add(original)
                return [replayed]

    def batch(self, all_moves: tuple[Move, ...]) -> list[bool]:
        """Apply moves one after the other; a batch locks at once but means the same."""
        # References are compared first, floors afterwards.
        kept: dict[str, object] = dict(self.requests)
        for one in all_moves:
            if kept.setdefault(f"r{one.reference}", one) != one:
                raise Refused(ReferenceReused)
        return [self.move(one) for one in all_moves]

    def parts(self, call: Settle) -> dict[int, int]:
        """Divide what is held, missing it by *short*; each wallet gets at least 1."""
        total = max(self.balances.get(f"work{call.work}", 0) - call.short, len(call.wallets))
        first, *others = sorted(call.wallets)
        return {first: total - len(others)} | dict.fromkeys(others, 1)


# --- The ledger, called the same way --------------------------------------------------------------


class Market:
    def __init__(self) -> None:
        self.wallets = [a_wallet(OPENING) for _ in range(WALLETS)]
        self.name = unique("")
        self.made: dict[int, Posted] = {}

    def reference(self, number: int) -> str:
        return f"r{number}{self.name}"

    def work(self, number: int) -> str:
        return f"work{number}{self.name}"

    def posting(self, call: Move) -> NewPosting:
        legs = [Leg(self.wallets[wallet], amount) for wallet, amount in call.amounts]
        total = sum(leg.amount for leg in legs)
        if total != 0:
            legs.append(Leg(ledger.ISSUANCE, -total))
        return NewPosting(reference=self.reference(call.reference), kind="move", legs=legs)

    def replays(self, call: Call, model: Model) -> list[bool]:
        return [one.replayed for one in self.call(call, model)]

    def call(self, call: Call, model: Model) -> list[Posted]:
        with transaction.atomic():
            posted = self._call(call, model)
        if not isinstance(call, Settle | Refund | Batch):
            self.made[call.reference] = posted[0]
        if isinstance(call, Batch):
            for one, made in zip(call.moves, posted, strict=True):
                self.made[one.reference] = made
        return posted

    def _call(self, call: Call, model: Model) -> list[Posted]:  # noqa: PLR0911 - the same
        match call:
            case Move():
                new = self.posting(call)
                return [ledger.post(reference=new.reference, kind=new.kind, legs=new.legs)]
            case Batch(moves=all_moves):
                return ledger.post_many([self.posting(one) for one in all_moves])
            case Fund(reference, work, wallet, amount):
                return [
                    escrow.fund(
                        work=self.work(work),
                        owner=None,
                        source=self.wallets[wallet],
                        amount=amount,
                        reference=self.reference(reference),
                    )
                ]
            case Allocate(reference, work, child, amount):
                return [
                    escrow.allocate(
                        work=self.work(work),
                        child=self.work(child),
                        owner=None,
                        amount=amount,
                        reference=self.reference(reference),
                    )
                ]
            case Withdraw(reference, work, wallet, amount):
                return [
                    escrow.withdraw(
                        work=self.work(work),
                        to=self.wallets[wallet],
                        amount=amount,
                        reference=self.reference(reference),
                    )
                ]
            case Settle(work, _, _):
                parts = model.parts(call)
                return [
                    escrow.settle(
                        work=self.work(work),
                        parts={self.wallets[wallet]: part for wallet, part in parts.items()},
                    )
                ]
            case Refund(work, wallet):
                return [escrow.refund(work=self.work(work), to=self.wallets[wallet])]
            case Reverse(reference, taken):
                made = self.made.get(taken)
                return [
                    ledger.reverse(
                        made.id if made else uuid4(), reference=self.reference(reference)
                    )
                ]

    def balances(self) -> dict[str, int]:
        accounts = {f"wallet{place}": wallet for place, wallet in enumerate(self.wallets)}
        for number in range(WORKS):
            found = escrow.find(self.work(number))
            if found is not None:
                accounts[f"work{number}"] = found
        held = ledger.balances(accounts.values())
        return {name: held[account] for name, account in accounts.items()}


def outcome_of(call: Callable[[], list[bool]]) -> list[bool] | type[Exception]:
    try:
        return call()
    except Refused as refusal:
        return refusal.error
    except LedgerError as error:
        return type(error)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.permutations(OPENINGS), st.lists(calls, min_size=12, max_size=40))
def test_the_ledger_does_what_an_independent_model_predicts(
    openings: list[Call], calls_after: list[Call]
) -> None:
    # A market where nothing is funded refuses almost everything; repeated calls are replays.
    sequence = openings + calls_after + calls_after[:2]
    model = Model({f"wallet{place}": OPENING for place in range(WALLETS)} | {"issuance": 0})
    with transaction.atomic():
        market = Market()
        for call in sequence:
            after = model.snapshot()

            expected = outcome_of(partial(after.apply, call))
            actual = outcome_of(partial(market.replays, call, model))

            assert actual == expected, call
            if not isinstance(expected, type):
                model = after
    open_balances = {name: held for name, held in model.balances.items() if name != "issuance"}
    assert market.balances() == open_balances
    for place, wallet in enumerate(market.wallets):
        lines = ledger.statement(wallet, limit=1_000)
        assert lines[0].balance_after == model.balances[f"wallet{place}"]
        assert sum(line.amount for line in lines) == lines[0].balance_after
    assert audit.run() == []
