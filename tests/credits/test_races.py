"""What the ledger promises when several do it at once: threads, real commits, real locks."""

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from uuid import uuid4

import pytest
from django.db import connection, transaction

from credits import escrow
from credits.errors import EscrowEmpty, LedgerError, ReferenceReused
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
    reverse,
    statement,
)
from tests.builders.at_once import a_crew, together
from tests.credits.cast import (
    a_wallet,
    in_a_transaction,
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


def test_the_same_reversal_many_times_at_once_undoes_once_and_answers_all() -> None:
    ada, bo = a_wallet(100), a_wallet()

    with a_crew(6) as at_once:
        for _ in range(30):
            paid, reference = pay(ada, bo, 10), unique("reversal")

            outcomes = at_once(
                [partial(in_a_transaction, partial(reverse, paid.id, reference=reference))] * 6
            )

            assert kinds_of(outcomes) == ["Posted"] * 6
            posted = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
            assert len({one.id for one in posted}) == 1
            assert sorted(one.replayed for one in posted) == [False] + [True] * 5
            assert balances([ada, bo]) == {ada: 100, bo: 0}


# --- Deadlocks ------------------------------------------------------------------------------------

OPPOSING = int(os.environ.get("HANSA_OPPOSING_POSTINGS", "4000"))
OTHERS = 3_000
THREADS = 4
BATCH = 25
# How many of each thread are not in batches.
ALONE = OPPOSING * 7 // 40


def opposing_postings(accounts: list[AccountId], thread: int) -> Iterator[NewPosting]:
    """Yield postings between several accounts each, named in an order of their own."""
    chance = random.Random(thread)  # noqa: S311 - a test's dice
    while True:
        payer, *payees = chance.sample(accounts, chance.randint(2, 4))
        legs = [*(Leg(payee, 1) for payee in payees), Leg(payer, -len(payees))]
        chance.shuffle(legs)
        yield NewPosting(reference=unique("opposing"), kind="transfer", legs=legs)


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_opposing_postings_never_deadlock() -> None:
    # Beside many others, as in a market: with a handful, a plan that walks through all accounts in
    # the order of their ids is cheapest, and hides in which order it would lock them.
    with transaction.atomic():
        for _ in range(OTHERS):
            open_account(kind="wallet", owner=uuid4())
    accounts, before = [a_wallet(100_000) for _ in range(6)], deadlocks()

    def post_in_turn(thread: int) -> int:
        """Each in a transaction of its own, so that only the ledger decides the order of locks."""
        new, made = opposing_postings(accounts, thread), 0
        while made < OPPOSING // THREADS:
            with transaction.atomic():
                if made < ALONE:
                    one = next(new)
                    post(reference=one.reference, kind=one.kind, legs=one.legs)
                    made += 1
                else:
                    made += len(post_many(list(islice(new, BATCH))))
        return made

    outcomes = together([partial(post_in_turn, thread) for thread in range(THREADS)])

    assert outcomes == [OPPOSING // THREADS] * THREADS
    assert deadlocks() == before
    assert sum(balances(accounts).values()) == 600_000


ROUNDS = OPPOSING // 100


def fund_each(works: list[str], source: AccountId) -> Posted:
    return escrow.fund_many(
        works=dict.fromkeys(works, 1), owner=None, source=source, reference=unique("fund")
    )


def end_of(work: str, payee: AccountId) -> escrow.End:
    """Return the end of a work as it stands, which a rival may change before it comes."""
    held = escrow.held(work)
    return escrow.End(work, {payee: held} if held else {})


def test_many_works_funded_and_ended_at_once_never_deadlock() -> None:
    name = unique("tree")
    every = [f"{name}:{number}:{place}" for number in range(ROUNDS) for place in range(5)]
    # Before the wallets, so that escrows are locked first.
    chunks = [every[at : at + 100] for at in range(0, len(every), 100)]
    run_together(*(partial(fund_each, works, a_wallet(len(works))) for works in chunks))
    wallets, before = [a_wallet(100_000) for _ in range(4)], deadlocks()

    def work_in_turn(thread: int) -> Counter[str]:
        """Meet the others at the works of each round; a call that came too late is refused."""
        chance, done = random.Random(thread), Counter[str]()  # noqa: S311 - a test's dice
        for number in range(ROUNDS):
            works = [f"{name}:{number}:{place}" for place in range(5)]
            chance.shuffle(works)
            payer, payee, other = chance.sample(wallets, 3)
            legs = [Leg(payee, -3), Leg(other, 1), Leg(payer, 2)]
            fund = partial(fund_each, works[:4], payer)
            split = partial(
                escrow.allocate_many,
                work=works[0],
                children=dict.fromkeys(works[1:3], 1),
                owner=None,
                reference=unique("split"),
            )
            beside = [NewPosting(unique("beside"), "transfer", legs)]
            for call in (
                fund,
                split,
                lambda: escrow.settle_many([end_of(one, payee) for one in works[:3]], beside),  # noqa: B023 - called at once
            ):
                try:
                    made = in_a_transaction(call)
                except LedgerError as refusal:
                    done[type(refusal).__name__] += 1
                else:
                    done["closed" if isinstance(made, list) and None in made else "posted"] += 1
        return done

    outcomes = together([partial(work_in_turn, thread) for thread in range(THREADS)])

    assert deadlocks() == before
    done = Counter[str]()
    for one in outcomes:
        assert isinstance(one, Counter), one
        done += one
    assert done.total() == THREADS * ROUNDS * 3
    assert done["posted"], done
    assert done["closed"], done
    left = sum(escrow.held(work) for work in every)
    assert sum(balances(wallets).values()) + left == 400_000 + len(every)


def test_an_escrow_that_ends_without_parts_is_locked_in_its_turn() -> None:
    work, is_held = funded_work(1), threading.Event()
    ada, bo = a_wallet(9), a_wallet()
    run_together(partial(escrow.withdraw, work=work, to=bo, amount=1, reference=unique("withdraw")))

    def hold() -> Posted:
        made = pay(ada, bo, 1)
        is_held.set()
        wait_until_somebody_waits(sessions=2)
        return made

    def close() -> list[Posted | None]:
        is_held.wait(timeout=10)
        legs = [Leg(ada, -1), Leg(bo, 1)]
        return escrow.settle_many(
            [escrow.End(work, {})], [NewPosting(unique("beside"), "transfer", legs)]
        )

    def fund() -> Posted:
        is_held.wait(timeout=10)
        wait_until_somebody_waits()
        return fund_each([work], ada)

    # Were the wallet locked first, whoever closes and whoever funds would wait for each other.
    outcomes = run_together(hold, close, fund)

    assert kinds_of(outcomes) == ["AccountClosed", "Posted", "list"]


def test_the_first_fundings_of_many_works_at_once_open_one_escrow_each() -> None:
    works, sources = [unique("task") for _ in range(5)], [a_wallet(15) for _ in range(6)]

    outcomes = run_together(
        *(
            partial(
                escrow.fund_many,
                works=dict.fromkeys(works[::step], 3),
                owner=None,
                source=source,
                reference=unique("fund"),
            )
            for source, step in zip(sources, [1, -1] * 3, strict=True)
        )
    )

    assert kinds_of(outcomes) == ["Posted"] * 6
    assert [escrow.held(work) for work in works] == [18] * 5


def test_of_many_ends_of_an_empty_escrow_at_once_one_closes_it() -> None:
    work, bo = funded_work(1), a_wallet()
    run_together(partial(escrow.withdraw, work=work, to=bo, amount=1, reference=unique("withdraw")))

    outcomes = run_together(*[partial(escrow.settle, work=work, parts={})] * 6)

    assert kinds_of(outcomes) == ["EscrowEmpty"] * 5 + ["NoneType"]


def test_entries_written_at_once_are_numbered_without_gaps_and_in_the_order_of_time() -> None:
    ada, payers = a_wallet(), [a_wallet(3) for _ in range(8)]

    run_together(*(partial(pay, payer, ada, 3) for payer in payers))

    lines = statement(ada, limit=100)[::-1]
    assert [line.seq for line in lines] == list(range(1, 9))
    assert [line.balance_after for line in lines] == list(range(3, 25, 3))
    assert [line.created_at for line in lines] == sorted(line.created_at for line in lines)
