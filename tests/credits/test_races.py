"""What the ledger promises when several do it at once: threads, real commits, real locks."""

import random
import threading
from functools import partial

import pytest
from django.db import OperationalError

from credits import escrow
from credits.errors import EscrowEmpty, InsufficientCredits, ReferenceReused
from credits.ledger import (
    FEES,
    AccountId,
    Leg,
    NewPosting,
    Posted,
    balance,
    balances,
    close_account,
    open_account,
    post,
    post_many,
    statement,
)
from tests.credits.cast import (
    a_wallet,
    pay,
    posting,
    run_together,
    unique,
    wait_until_somebody_waits,
)

pytestmark = pytest.mark.usefixtures("db")


def kinds_of(outcomes: list[object]) -> list[str]:
    return sorted(type(outcome).__name__ for outcome in outcomes)


def funded_work(amount: int) -> str:
    work, ada = unique("task"), a_wallet(amount)

    def fund() -> Posted:
        return escrow.fund(
            work=work, owner=None, source=ada, amount=amount, reference=unique("fund")
        )

    (funded,) = run_together(fund)
    assert isinstance(funded, Posted)
    return work


def test_of_different_settlements_of_a_work_at_once_one_wins() -> None:
    work, payees = funded_work(10), [a_wallet() for _ in range(8)]

    outcomes = run_together(
        *(partial(escrow.settle, work=work, parts={payee: 10}) for payee in payees)
    )

    assert kinds_of(outcomes) == ["EscrowEmpty"] * 7 + ["Posted"]
    assert sorted(balances(payees).values()) == [0] * 7 + [10]
    assert escrow.held(work) == 0


def test_the_same_settlement_many_times_at_once_pays_once_and_answers_all() -> None:
    work, bo = funded_work(10), a_wallet()

    outcomes = run_together(*[lambda: escrow.settle(work=work, parts={bo: 7, FEES: 3})] * 8)

    assert kinds_of(outcomes) == ["Posted"] * 8
    posted = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
    assert len({one.id for one in posted}) == 1
    assert sorted(one.replayed for one in posted) == [False] + [True] * 7
    assert balance(bo) == 7


def test_a_settlement_and_a_refund_at_once_end_the_work_once() -> None:
    for _ in range(10):
        work, ada, bo = funded_work(10), a_wallet(), a_wallet()

        outcomes = run_together(
            partial(escrow.settle, work=work, parts={bo: 10}),
            partial(escrow.refund, work=work, to=ada),
            partial(escrow.refund, work=work, to=ada),
        )

        assert balance(ada) + balance(bo) == 10
        assert all(isinstance(outcome, Posted | EscrowEmpty) for outcome in outcomes)
        assert sum(isinstance(one, Posted) and not one.replayed for one in outcomes) == 1


def test_a_refund_returns_also_what_a_funding_brought_while_it_waited() -> None:
    work, ada, bo, funded = funded_work(10), a_wallet(5), a_wallet(), threading.Event()

    def fund() -> Posted:
        made = escrow.fund(work=work, owner=None, source=ada, amount=5, reference=unique("fund"))
        funded.set()
        wait_until_somebody_waits()
        return made

    def refund() -> Posted:
        funded.wait(timeout=10)
        return escrow.refund(work=work, to=bo)

    outcomes = run_together(fund, refund)

    assert kinds_of(outcomes) == ["Posted", "Posted"]
    assert balance(bo) == 15


def test_the_first_fundings_of_a_work_at_once_open_one_escrow() -> None:
    work, sources = unique("task"), [a_wallet(5) for _ in range(6)]

    outcomes = run_together(
        *(
            partial(
                escrow.fund,
                work=work,
                owner=None,
                source=source,
                amount=5,
                reference=unique("fund"),
            )
            for source in sources
        )
    )

    assert kinds_of(outcomes) == ["Posted"] * 6
    assert escrow.held(work) == 30


def test_an_account_opened_by_many_at_once_is_one() -> None:
    reference = unique("pocket")

    outcomes = run_together(
        *[lambda: open_account(kind="wallet", owner=None, reference=reference)] * 8
    )

    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], int)


def test_rivals_cannot_spend_the_same_credits() -> None:
    ada, payees = a_wallet(30), [a_wallet() for _ in range(8)]

    outcomes = run_together(*(partial(pay, ada, payee, 10) for payee in payees))

    assert kinds_of(outcomes) == ["InsufficientCredits"] * 5 + ["Posted"] * 3
    assert balance(ada) == 0
    assert sum(balances(payees).values()) == 30


def test_a_reference_used_by_many_at_once_names_one_posting() -> None:
    ada, bo, reference = a_wallet(100), a_wallet(), unique("rival")

    outcomes = run_together(
        *(
            partial(posting, Leg(ada, -amount), Leg(bo, amount), reference=reference)
            for amount in (1, 1, 1, 2, 2, 2)
        )
    )

    assert kinds_of(outcomes) == ["Posted"] * 3 + ["ReferenceReused"] * 3
    assert len({one.id for one in outcomes if isinstance(one, Posted)}) == 1
    assert balance(bo) in {1, 2}
    assert all(isinstance(one, Posted | ReferenceReused) for one in outcomes)


def test_an_account_is_not_closed_under_a_credit() -> None:
    for _ in range(5):
        ada, bo = a_wallet(10), a_wallet()

        paid, _ = run_together(partial(pay, ada, bo, 1), partial(close_account, bo))

        assert balance(bo) == (1 if isinstance(paid, Posted) else 0)


def shuffled_postings(accounts: list[AccountId], seed: int) -> list[NewPosting]:
    """Return postings over several accounts each, named in an order of their own."""
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    made = []
    for _ in range(25):
        chosen = chance.sample(accounts, chance.randint(2, len(accounts)))
        legs = [Leg(account, 1) for account in chosen[1:]]
        legs.insert(chance.randrange(len(chosen)), Leg(chosen[0], 1 - len(chosen)))
        made.append(NewPosting(reference=unique("mix"), kind="transfer", legs=legs))
    return made


def test_opposing_postings_never_deadlock() -> None:
    accounts = [a_wallet(10_000) for _ in range(6)]

    def one_at_a_time(seed: int) -> int:
        for new in shuffled_postings(accounts, seed):
            # Each in a transaction of its own, so that only the ledger decides the lock order.
            (outcome,) = run_together(
                partial(post, reference=new.reference, kind=new.kind, legs=new.legs)
            )
            assert isinstance(outcome, Posted), outcome
        return seed

    def all_at_once(seed: int) -> int:
        return len(post_many(shuffled_postings(accounts, seed)))

    outcomes = run_together(
        *(partial(one_at_a_time, seed) for seed in range(4)),
        *(partial(all_at_once, seed) for seed in range(4, 8)),
    )

    assert not any(isinstance(one, OperationalError | InsufficientCredits) for one in outcomes)
    assert outcomes == [0, 1, 2, 3, 25, 25, 25, 25]
    assert sum(balances(accounts).values()) == 60_000


def test_entries_written_at_once_are_numbered_without_gaps_and_in_the_order_of_time() -> None:
    ada, payers = a_wallet(), [a_wallet(3) for _ in range(8)]

    run_together(*(partial(pay, payer, ada, 3) for payer in payers))

    lines = statement(ada, limit=100)[::-1]
    assert [line.seq for line in lines] == list(range(1, 9))
    assert [line.balance_after for line in lines] == list(range(3, 25, 3))
    assert [line.created_at for line in lines] == sorted(line.created_at for line in lines)
