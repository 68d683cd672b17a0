"""The switch: nothing is written after it was thrown, whoever was about to, and all can be read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from credits import audit, escrow, ledger, switch
from credits.errors import AppendOnly, InvalidText, MoneyReadOnly, OutOfSequence, ledger_errors
from credits.ledger import FEES, AccountId, Leg, NewPosting
from credits.models import Account, Posting
from credits.rollup import roll_up
from credits.seals import list_seals, seal
from tests.credits.cast import (
    a_wallet,
    pay,
    posting,
    unique,
    wait_until_settled,
    wait_until_somebody_waits,
)
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db", "_writing_resumes")


@pytest.fixture
def _writing_resumes() -> Iterator[None]:
    yield
    if switch.standing_stop() is not None:
        resume()


def stop(reason: str = "The books are wrong.") -> bool:
    with transaction.atomic():
        return switch.stop_writing(reason=reason, actor="ada")


def resume(reason: str = "They are right.") -> bool:
    with transaction.atomic():
        return switch.resume_writing(reason=reason, actor="bo")


@contextmanager
def stopped() -> Iterator[None]:
    stop()
    try:
        yield
    finally:
        resume()


class Cast:
    """Accounts, an escrow and a posting, to call everything with."""

    def __init__(self) -> None:
        self.ada: AccountId = a_wallet(100)
        self.bo: AccountId = a_wallet()
        self.work = unique("task")
        self.spent = unique("spent")
        self.empty = a_wallet()
        self.reference = unique("posting")
        self.paid = posting(*self.legs(10), reference=self.reference)
        with transaction.atomic():
            escrow.fund_many(
                works={self.work: 20, self.spent: 1},
                owner=None,
                source=self.ada,
                reference=unique("fund"),
            )
            escrow.withdraw(work=self.spent, to=self.ada, amount=1, reference=unique("less"))

    def legs(self, amount: int) -> list[Leg]:
        return [Leg(self.ada, -amount), Leg(self.bo, amount)]


WRITES: dict[str, Callable[[Cast], object]] = {
    "post": lambda cast: pay(cast.ada, cast.bo, 1),
    "a repeated post": lambda cast: posting(*cast.legs(10), reference=cast.reference),
    "post_many": lambda cast: ledger.post_many(
        [NewPosting(reference=unique("many"), kind="transfer", legs=cast.legs(1))]
    ),
    "reverse": lambda cast: ledger.reverse(cast.paid.id, reference=unique("reversal")),
    "open_account": lambda _: ledger.open_account(kind=unique("kind")[:40], owner=None),
    "close_account": lambda cast: ledger.close_account(cast.empty),
    "fund": lambda cast: escrow.fund(
        work=cast.work, owner=None, source=cast.ada, amount=1, reference=unique("fund")
    ),
    "fund of new work": lambda cast: escrow.fund(
        work=unique("task"), owner=None, source=cast.ada, amount=1, reference=unique("fund")
    ),
    "allocate": lambda cast: escrow.allocate(
        work=cast.work, child=unique("task"), owner=None, amount=1, reference=unique("part")
    ),
    "fund_many": lambda cast: escrow.fund_many(
        works={cast.work: 1, unique("task"): 1},
        owner=None,
        source=cast.ada,
        reference=unique("fund"),
    ),
    "allocate_many": lambda cast: escrow.allocate_many(
        work=cast.work, children={unique("task"): 1}, owner=None, reference=unique("part")
    ),
    "withdraw": lambda cast: escrow.withdraw(
        work=cast.work, to=cast.ada, amount=1, reference=unique("less")
    ),
    "settle": lambda cast: escrow.settle(work=cast.work, parts={cast.bo: 20}),
    "settle_many": lambda cast: escrow.settle_many([escrow.End(cast.work, {cast.bo: 20})]),
    "settle without parts": lambda cast: escrow.settle(work=cast.spent, parts={}),
    "refund": lambda cast: escrow.refund(work=cast.work, to=cast.ada),
}


@pytest.mark.parametrize("call", WRITES)
def test_every_call_that_writes_is_refused_and_writes_nothing(call: str) -> None:
    cast = Cast()
    before = books_of(cast)

    with stopped():
        with transaction.atomic():
            with pytest.raises(MoneyReadOnly), transaction.atomic():
                WRITES[call](cast)
            # Behind its savepoint the caller's transaction goes on.
            assert books_of(cast) == before
        assert books_of(cast) == before

    with transaction.atomic():
        WRITES[call](cast)


def books_of(cast: Cast) -> list[object]:
    accounts = Account.objects.filter(
        pk__in=[cast.ada, cast.bo, cast.empty, escrow.find(cast.spent)]
    ).order_by("pk")
    return [
        list(accounts.values_list("balance", "seq", "posted_at", "closed_at")),
        escrow.held(cast.work),
        Posting.objects.count(),
        Account.objects.count(),
    ]


def test_folds_and_seals_wait_until_writing_resumes() -> None:
    pay(a_wallet(5), FEES, 5)
    wait_until_settled()

    with stopped():
        sealed = list_seals(limit=1)
        with pytest.raises(MoneyReadOnly), transaction.atomic():
            roll_up()
        with pytest.raises(MoneyReadOnly), transaction.atomic():
            seal()

        assert list_seals(limit=1) == sealed


def test_everything_can_be_read() -> None:
    cast = Cast()

    with stopped():
        assert ledger.balance(cast.bo) == 10
        assert [line.amount for line in ledger.statement(cast.bo, limit=5)] == [10]
        assert escrow.held(cast.work) == 20
        with transaction.atomic():
            owner = Account.objects.get(pk=cast.bo).owner
            assert ledger.open_account(kind="wallet", owner=owner) == cast.bo  # it is open
        assert audit.run() == []


TABLES = {
    "credits_posting": "INSERT INTO credits_posting SELECT * FROM credits_posting WHERE false",
    "credits_entry": "INSERT INTO credits_entry SELECT * FROM credits_entry WHERE false",
    "credits_account": "UPDATE credits_account SET seq = seq WHERE false",
    "credits_fold": "INSERT INTO credits_fold SELECT * FROM credits_fold WHERE false",
    "credits_seal": "INSERT INTO credits_seal SELECT * FROM credits_seal WHERE false",
}


@pytest.mark.parametrize("table", TABLES)
def test_no_table_of_the_ledger_can_be_written(table: str) -> None:
    with stopped(), as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL credits.writing = 'on'")  # as the ledger's own functions do
        with pytest.raises(MoneyReadOnly), ledger_errors(), transaction.atomic():
            cursor.execute(TABLES[table])


def test_a_turn_says_who_and_why_and_turning_it_twice_changes_nothing() -> None:
    assert switch.standing_stop() is None

    assert [stop("Balances differ."), stop("Me too.")] == [True, False]
    standing = switch.standing_stop()
    assert [resume("Looked."), resume("Looked again.")] == [True, False]

    assert standing is not None
    assert (standing.reason, standing.actor, standing.stops) == ("Balances differ.", "ada", True)
    lifted, thrown = switch.history(limit=2)
    assert thrown == standing
    assert (lifted.reason, lifted.actor, lifted.stops) == ("Looked.", "bo", False)
    assert lifted.number == thrown.number + 1
    assert lifted.turned_at >= thrown.turned_at
    assert switch.standing_stop() is None


@pytest.mark.parametrize("reason", ["", "x" * 1001, "\0"])
def test_a_turn_needs_a_reason(reason: str) -> None:
    with pytest.raises(InvalidText, match="reason"):
        stop(reason)

    assert switch.standing_stop() is None


def test_a_stop_that_is_rolled_back_stops_nothing() -> None:
    with transaction.atomic():
        switch.stop_writing(reason="Perhaps.", actor="ada")
        transaction.set_rollback(True)

    assert switch.standing_stop() is None
    pay(a_wallet(1), a_wallet(), 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credits_switch SET reason = 'Another.'",
        "DELETE FROM credits_switch",
        "TRUNCATE credits_switch",
    ],
)
def test_the_history_is_append_only(statement: str) -> None:
    with stopped():
        pass

    with (
        as_owner(),
        pytest.raises(AppendOnly),
        ledger_errors(),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.parametrize(
    "turn",
    [
        "(SELECT max(number) + 2 FROM credits_switch), true, clock_timestamp()",
        "(SELECT max(number) + 1 FROM credits_switch), false, clock_timestamp()",
        "(SELECT max(number) + 1 FROM credits_switch), true, '2001-01-01'",
    ],
)
def test_a_turn_follows_the_one_before_it(turn: str) -> None:
    with stopped():
        pass

    with (
        as_owner(),
        pytest.raises(OutOfSequence),
        ledger_errors(),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO credits_switch (number, stops, turned_at, reason, actor)"
            f" SELECT {turn}, 'Why.', 'ada'"
        )


# --- Races ----------------------------------------------------------------------------------------


def in_a_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start *work*; what it returns or raises comes to stand in the list."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as refusal:  # noqa: BLE001 - an outcome, which the test asserts about
            outcome.append(refusal)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_a_stop_waits_for_whoever_has_written_and_their_posting_stands() -> None:
    ada, bo = a_wallet(10), a_wallet()
    with transaction.atomic():
        pay(ada, bo, 3)
        stopping, outcome = in_a_thread(stop)
        wait_until_somebody_waits()
        assert not outcome

    stopping.join(timeout=10)

    assert outcome == [True]
    assert ledger.balance(bo) == 3


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_whoever_waits_for_the_stop_is_refused_however_old_their_snapshot(isolation: str) -> None:
    ada, bo = a_wallet(10), a_wallet()
    has_read = threading.Event()
    may_write = threading.Event()

    def write() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            assert ledger.balance(ada) == 10
            has_read.set()
            assert may_write.wait(timeout=10)
            pay(ada, bo, 3)

    with transaction.atomic():
        writing, outcome = in_a_thread(write)
        assert has_read.wait(timeout=10)
        switch.stop_writing(reason="The books are wrong.", actor="ada")
        may_write.set()
        wait_until_somebody_waits()
        assert not outcome
    writing.join(timeout=10)

    assert [type(one) for one in outcome] == [MoneyReadOnly]
    assert ledger.balance(bo) == 0


def test_a_stop_does_not_hold_postings_up_for_long() -> None:
    ada, bo, cy = a_wallet(10), a_wallet(), a_wallet(10)
    with transaction.atomic():
        pay(ada, bo, 3)
        stopping, outcome = in_a_thread(stop)
        wait_until_somebody_waits()
        # It queues behind the stop, which gives up while this transaction is open.
        paying, paid = in_a_thread(lambda: pay(cy, bo, 1))
        stopping.join(timeout=10)
        assert not stopping.is_alive()
    paying.join(timeout=10)

    (refusal,) = outcome
    assert isinstance(refusal, OperationalError)
    assert getattr(refusal.__cause__, "sqlstate", None) == "55P03"
    assert [type(one) for one in paid] == [ledger.Posted]
    assert switch.standing_stop() is None


def test_readers_neither_wait_for_a_stop_nor_hold_it_up() -> None:
    ada = a_wallet(10)
    with transaction.atomic():  # as a backup does, for as long as it takes
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE credits_posting, credits_entry IN ACCESS SHARE MODE")
        assert ledger.balance(ada) == 10
        stopping, outcome = in_a_thread(stop)
        stopping.join(timeout=10)

        assert outcome == [True]
        assert ledger.balance(ada) == 10


def test_postings_that_race_with_a_stop_are_there_whole_or_refused() -> None:
    wallets = [a_wallet(1000) for _ in range(4)]
    sink = a_wallet()
    stops = threading.Event()
    told: list[bool] = []

    def pay_until_refused(wallet: AccountId) -> int:
        paid = 0
        while True:
            had_stopped = stops.is_set()
            try:
                pay(wallet, sink, 1)
            except MoneyReadOnly:
                return paid
            except DatabaseError as error:  # the switch gave up at a crossing, or they did
                assert getattr(error.__cause__, "sqlstate", None) in ("40P01", "55P03")  # noqa: PT017 - a loop
                continue
            told.append(had_stopped)
            paid += 1

    threads = [in_a_thread(partial(pay_until_refused, wallet)) for wallet in wallets]
    wait_until_paid(sink)
    while True:
        try:
            stop()
            break
        except OperationalError:
            continue
    stops.set()
    for thread, _ in threads:
        thread.join(timeout=30)

    acknowledged = sum(int(str(outcome)) for _, (outcome,) in threads)
    assert ledger.balance(sink) == acknowledged > 0
    assert not any(told)
    assert audit.run() == []


def wait_until_paid(account: AccountId) -> None:
    while ledger.balance(account) < 20:
        pass
