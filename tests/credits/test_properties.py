"""Random calls against an independent model that predicts every result and every refusal."""

import os
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from credits import audit, ledger, rollup
from tests.builders.at_once import Work, a_crew
from tests.credits.calls import (
    FEES,
    ISSUANCE,
    Account,
    Balances,
    Names,
    RollUp,
    Write,
)
from tests.credits.cast import wait_until_settled
from tests.credits.compared import Attempt, Books, attempt
from tests.credits.drawing import Cast, Drawn, Requests, Thrown
from tests.credits.model import Model

pytestmark = pytest.mark.usefixtures("db")

EXAMPLES = int(os.environ.get("HANSA_LEDGER_EXAMPLES", "100"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cast = Cast()
        self.books = Books()

    def open_the_books(self) -> None:
        with transaction.atomic():
            for call in self.cast.opening():
                self.books.ask(call)
            for call in self.cast.gifts(self.model):
                self.books.ask(call)

    @property
    def model(self) -> Model:
        return self.books.model


class InOneThread(Machine):
    """One call after the other, in transactions of the caller's that commit or roll back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Write] = []
        self.open = ExitStack()
        self.before: Model | None = None
        self.derived_before = {one: _entries_of(one) for one in (ISSUANCE, FEES)}

    @initialize()
    def open_books(self) -> None:
        self.model.transaction += 1
        self.open_the_books()

    def requests(self, data: st.DataObject) -> Requests:
        return Requests(Drawn(data), self.model, self.cast)

    def write(self, call: Write) -> None:
        self.asked.append(call)
        if self.before is None:
            self.model.transaction += 1
        self.books.ask(call)

    # --- The caller's transaction -----------------------------------------------------------------

    @precondition(lambda self: self.before is None)
    @rule()
    def begin(self) -> None:
        self.model.transaction += 1
        self.before = self.model.copy()
        self.open.enter_context(transaction.atomic())

    @precondition(lambda self: self.before is not None)
    @rule()
    def commit(self) -> None:
        self.before = None
        self.open.close()

    @precondition(lambda self: self.before is not None)
    @rule()
    def roll_back(self) -> None:
        assert self.before is not None
        transaction.set_rollback(True)
        self.open.close()
        self.model.go_back_to(self.before)
        self.before = None

    # --- Calls ------------------------------------------------------------------------------------

    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        self.write(self.requests(data).post())

    @rule(data=st.data())
    def post_many(self, data: st.DataObject) -> None:
        self.write(self.requests(data).post_many())

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        self.write(self.requests(data).reverse())

    @rule(data=st.data())
    def open_account(self, data: st.DataObject) -> None:
        self.write(self.requests(data).open_account())

    @rule(data=st.data())
    def close_account(self, data: st.DataObject) -> None:
        self.write(self.requests(data).close_account())

    @rule(data=st.data())
    def fund(self, data: st.DataObject) -> None:
        self.write(self.requests(data).fund())

    @rule(data=st.data())
    def allocate(self, data: st.DataObject) -> None:
        self.write(self.requests(data).allocate())

    @rule(data=st.data())
    def fund_many(self, data: st.DataObject) -> None:
        self.write(self.requests(data).fund_many())

    @rule(data=st.data())
    def allocate_many(self, data: st.DataObject) -> None:
        self.write(self.requests(data).allocate_many())

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.write(self.requests(data).withdraw())

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        self.write(self.requests(data).settle())

    @rule(data=st.data())
    def settle_many(self, data: st.DataObject) -> None:
        self.write(self.requests(data).settle_many())

    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        self.write(self.requests(data).refund())

    @rule()
    def roll_up(self) -> None:
        self.write(RollUp())

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        self.write(self.requests(data).one_of(self.asked))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_for_something_else(self, data: st.DataObject) -> None:
        requests = self.requests(data)
        self.write(requests.differently(requests.one_of(self.asked)))

    @rule(data=st.data())
    def ask_for_what_cannot_be(self, data: st.DataObject) -> None:
        requests = self.requests(data)
        self.write(requests.spoilt(requests.write()))

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self.books.ask(self.requests(data).read())

    @rule()
    def note_the_time(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            self.model.note(cursor.fetchone()[0])

    # --- What is true after every step ------------------------------------------------------------

    @invariant()
    def balances_are_as_predicted(self) -> None:
        self.books.ask(Balances(tuple(self.model.accounts)))

    def teardown(self) -> None:
        if self.before is not None:
            self.roll_back()
        self.books.ask_for_all_lines()
        for account in (ISSUANCE, FEES):
            self.lines_of_a_derived_account_are_a_beginning(account)

    def lines_of_a_derived_account_are_a_beginning(self, account: Account) -> None:
        """Compare its lines so far with the model's; those not settled yet are missing at the end.

        They stand in the order of transactions, and within one in that of the postings' ids.
        """
        before = self.derived_before[account]
        mine = sorted(
            (
                posting.transaction,
                self.books.names.posting(posting.name),
                dict(posting.legs)[account],
            )
            for posting in self.model.postings.values()
            if account in dict(posting.legs)
        )
        balance = self.model.accounts[account].balance - sum(amount for _, _, amount in mine)
        expected = []
        for seq, (_, posting, amount) in enumerate(mine, start=before + 1):
            balance += amount
            expected.append((seq, posting, amount, balance))
        lines = [
            (line.seq, line.posting_id, line.amount, line.balance_after)
            for line in ledger.statement(self.books.names.account(account), limit=len(mine) or 1)[
                ::-1
            ]
            if line.seq > before
        ]
        assert lines == expected[: len(lines)]


def _entries_of(account: Account) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM credits_entry WHERE account_id = %s AND seq IS NULL",
            [Names().account(account)],
        )
        (count,) = cursor.fetchone()
    return int(count)


def test_every_call_does_what_an_independent_model_predicts() -> None:
    run_state_machine_as_test(InOneThread, settings=settings(SETTINGS, stateful_step_count=20))

    wait_until_settled()
    rollup.roll_up()
    assert audit.run() == []


class InSeveralThreads(Machine):
    """Several calls at the same moment, as if one came after the other in some order."""

    at_once: Callable[[Sequence[Work]], list[object]]

    @initialize()
    def open_books(self) -> None:
        self.open_the_books()

    # Hypothesis could not follow choices that depend on what threads did.
    @rule(chance=st.randoms(use_true_random=True))
    def call_at_once(self, chance: random.Random) -> None:
        requests = Requests(Thrown(chance), self.model, self.cast)
        first = requests.write()
        others = [self.an_attempt(requests) for _ in range(requests.number(1, 2))]
        attempts = [Attempt(first, pause=self.pause(requests)), *others]
        if requests.number(0, 3) == 0:
            again = requests.one_of([first, requests.differently(first)])
            attempts.append(Attempt(again))

        results = self.at_once([partial(attempt, one, self.books.names) for one in attempts])

        self.books.explain(attempts, results)

    def an_attempt(self, requests: Requests) -> Attempt:
        return Attempt(
            requests.read() if requests.number(0, 9) == 0 else requests.write(),
            commits=requests.number(0, 5) > 0,
            pause=self.pause(requests),
        )

    def pause(self, requests: Requests) -> float:
        return requests.one_of([0.0, 0.0005, 0.002])

    def teardown(self) -> None:
        self.books.ask_for_all_lines()


def test_calls_at_the_same_moment_are_as_if_one_came_after_the_other() -> None:
    with a_crew(4) as at_once:
        machine: type[Any] = type(
            "Threads", (InSeveralThreads,), {"at_once": staticmethod(at_once)}
        )
        run_state_machine_as_test(
            machine,
            # What threads did once they may not do again, so there is nothing to make smaller.
            settings=settings(SETTINGS, stateful_step_count=5, phases=[Phase.generate]),
        )

    wait_until_settled()
    rollup.roll_up()
    assert audit.run() == []
