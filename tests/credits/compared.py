"""The real books beside a model of them: every call is made on both, and they have to agree."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from django.db import transaction

from credits import ledger
from tests.credits.calls import (
    Balances,
    Call,
    FindEscrow,
    Names,
    Outcome,
    Read,
    Statement,
    fits,
    perform,
)
from tests.credits.model import Model


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call in a transaction of its own.

    Attributes:
        call: The call.
        commits: False for a transaction that is rolled back afterwards.
        pause: Seconds for which the transaction stays open after the call.
    """

    call: Call
    commits: bool = True
    pause: float = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What an attempt came to, and when it ended, for looking at likely orders first."""

    outcome: Outcome
    ended_at: float


def attempt(one: Attempt, names: Names, before_end: Callable[[], object] | None = None) -> Done:
    """Run an attempt; *before_end* is called while the transaction is open, unless refused."""

    def wait() -> None:
        time.sleep(one.pause)
        if before_end is not None:
            before_end()
        if not one.commits:
            transaction.set_rollback(True)

    return Done(perform(one.call, names, wait), time.monotonic())


def _beside() -> Model:
    return Model.beside(issuance=ledger.balance(ledger.ISSUANCE), fees=ledger.balance(ledger.FEES))


@dataclass(slots=True)
class Books:
    """A model, and the names by which it and the real books know accounts and postings."""

    model: Model = field(default_factory=_beside)
    names: Names = field(default_factory=Names)

    def ask(self, call: Call) -> object:
        """Make a call; return what the model says that it returned, or nothing when refused.

        Raises:
            AssertionError: It came to something that the model does not expect.
        """
        predicted = self.model.answer(call)
        outcome = perform(call, self.names)
        right = _first_that_fits(predicted, outcome, self.names)
        assert right is not None, f"{call}\n  came to {outcome}\n  and not to {predicted}"
        # No call returns the account of an escrow that it opens.
        for account, state in self.model.accounts.items():
            if account not in self.names.ids:
                self.ask(FindEscrow(state.reference))
        return getattr(right, "value", None)

    def ask_for_all_lines(self) -> None:
        """Compare the statements of all stored accounts."""
        for account, state in self.model.accounts.items():
            if state.floor is not None:
                self.ask(Statement(account))

    def explain(self, attempts: Sequence[Attempt], results: Sequence[object]) -> None:
        """Go on after the serial order that the results of *attempts* and the books agree with.

        Raises:
            AssertionError: There is none: the calls were not as if one came after the other.
        """
        done = [one for one in results if isinstance(one, Done)]
        assert len(done) == len(attempts), f"a thread failed: {results}"
        likely = sorted(range(len(attempts)), key=lambda place: done[place].ended_at)
        read: dict[object, Outcome] = {}
        for order in permutations(likely):
            after = Books(self.model.copy(), self.names.copy())
            if all(after._agrees(attempts[at], done[at].outcome) for at in order) and all(
                after._reads(one, read) for one in after._telling_reads(self.model)
            ):
                self.model, self.names = after.model, after.names
                return
        told = [f"{one}\n    -> {came.outcome}" for one, came in zip(attempts, done, strict=True)]
        raise AssertionError(
            "\n".join(["no order explains", *told, f"{self.model}", f"{self.names}"])
        )

    def _agrees(self, one: Attempt, outcome: Outcome) -> bool:
        before = self.model.copy()
        predicted = self.model.answer(one.call)
        if not one.commits:
            self.model.go_back_to(before)
        return _first_that_fits(predicted, outcome, self.names) is not None

    def _telling_reads(self, before: Model) -> list[Read]:
        """Return what tells what happened: all balances, and the lines of accounts that moved."""
        moved = {
            account: self.model.accounts[account]
            for posting in list(self.model.postings.values())[len(before.postings) :]
            for account, _ in posting.legs
            if self.model.accounts[account].floor is not None
        }
        unknown = [state.reference for one, state in moved.items() if one not in self.names.ids]
        return [
            *map(FindEscrow, unknown),
            Balances(tuple(self.model.accounts)),
            *map(Statement, moved),
        ]

    def _reads(self, call: Read, read: dict[object, Outcome]) -> bool:
        """Compare a read, which is made once, however many orders are tried."""
        # The same account may have other names in other orders.
        match call:
            case Balances(accounts):
                key: object = tuple(self.names.account(account) for account in accounts)
            case Statement(account):
                key = self.names.account(account)
            case _:
                key = call
        if key not in read:
            read[key] = perform(call, self.names)
        return _first_that_fits(self.model.answer(call), read[key], self.names) is not None


def _first_that_fits(
    predicted: Sequence[Outcome], outcome: Outcome, names: Names
) -> Outcome | None:
    """Return the prediction that came true; the names in it are learned."""
    for right in predicted:
        learned = names.copy()
        if fits(right, outcome, learned):
            names.ids, names.named = learned.ids, learned.named
            return right
    return None
