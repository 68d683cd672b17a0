"""Derived accounts: the same balances before, during and after a roll-up, however it ends."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits import audit, ledger, rollup
from credits.errors import DatabaseRestored
from credits.ledger import (
    FEES,
    ISSUANCE,
    AccountId,
    Leg,
    NewPosting,
    Posted,
    StatementLine,
    balance,
    balance_at,
    balances,
    post_many,
    statement,
)
from credits.models import Fold, Posting
from credits.rollup import roll_up
from tests.credits.books import RESTORED_ELSEWHERE
from tests.credits.cast import (
    a_derived_account,
    a_wallet,
    give,
    pay,
    run_together,
    unique,
    wait_until_settled,
    wait_until_somebody_waits,
)
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db")

ROUNDS_OF_STARTS = 30
ONE_FOLD = "SELECT credits_roll_up(%s, 1, 10000)"


def folds_of(account: AccountId) -> list[tuple[int, int, int]]:
    """Return number, balance and entries of each fold."""
    return list(
        Fold.objects.filter(account_id=account)
        .order_by("number")
        .values_list("number", "balance", "entries")
    )


def fold_now(account: AccountId) -> int:
    with connection.cursor() as cursor:
        cursor.execute(ONE_FOLD, [account])
        (folded,) = cursor.fetchone()
    assert isinstance(folded, int)
    return folded


def give_each(account: AccountId, *amounts: int) -> None:
    for amount in amounts:
        give(account, amount)


def test_a_roll_up_folds_what_is_settled_and_changes_nothing_that_is_read() -> None:
    sink = a_derived_account()
    give_each(sink, 5, -2, 4)
    wait_until_settled()
    before = balance(sink), statement(sink, limit=10)

    folded = roll_up()

    assert folded >= 6  # these three, and their other sides at issuance
    assert folds_of(sink) == [(1, 7, 3)]
    assert (balance(sink), statement(sink, limit=10)) == before
    assert [line.balance_after for line in before[1]] == [7, 3, 5]


def test_a_roll_up_goes_on_where_the_one_before_it_ended() -> None:
    sink = a_derived_account()
    give_each(sink, 5, 6)
    wait_until_settled()
    roll_up()
    give_each(sink, 7)

    assert balance(sink) == 18
    wait_until_settled()
    roll_up()
    assert folds_of(sink) == [(1, 11, 2), (2, 18, 3)]
    assert roll_up() == 0
    assert balance(sink) == 18
    assert [line.seq for line in statement(sink, limit=10)] == [3, 2, 1]


def test_too_few_entries_are_left_for_a_later_roll_up() -> None:
    sink = a_derived_account()
    give_each(sink, 1, 1, 1)
    wait_until_settled()

    roll_up(least=4)
    assert folds_of(sink) == []
    roll_up(least=3)

    assert folds_of(sink) == [(1, 3, 3)]


def test_a_long_tail_is_folded_in_parts_that_keep_transactions_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollup, "MAX_FOLD_ENTRIES", 2)
    sink = a_derived_account()
    give_each(sink, 1)
    with transaction.atomic():
        give_each(sink, 10, 10, 10)
    give_each(sink, 100)
    wait_until_settled()

    roll_up()

    assert folds_of(sink) == [(1, 31, 4), (2, 131, 5)]


def test_what_commits_late_under_a_smaller_id_is_not_lost() -> None:
    sink, posted, may_commit = a_derived_account(), threading.Event(), threading.Event()
    give_each(sink, 1)
    wait_until_settled()

    def commit_late() -> Posted:
        made = give(sink, 10)
        posted.set()
        may_commit.wait(timeout=20)
        return made

    late: list[object] = []
    thread = threading.Thread(target=lambda: late.extend(run_together(commit_late)))
    thread.start()
    posted.wait(timeout=20)
    early = give(sink, 100)
    roll_up()
    folded_meanwhile, balance_meanwhile = folds_of(sink), balance(sink)
    may_commit.set()
    thread.join(timeout=20)

    # Cutting at the id of `early` would have folded it, and passed over the smaller id for ever.
    (made,) = late
    assert isinstance(made, Posted)
    assert made.id < early.id
    assert folded_meanwhile == [(1, 1, 1)]
    assert balance_meanwhile == 101
    assert balance(sink) == 111
    wait_until_settled()
    roll_up()
    assert folds_of(sink) == [(1, 1, 1), (2, 111, 3)]
    assert balance(sink) == 111


def test_balances_are_exact_in_every_snapshot_while_others_post_and_roll_up() -> None:
    sink = a_derived_account()
    wallets = [a_wallet(40) for _ in range(3)]
    done = threading.Event()
    totals: set[int] = set()

    def pay_often(wallet: AccountId) -> int:
        for _ in range(40):
            # Each in a transaction of its own.
            (outcome,) = run_together(partial(pay, wallet, sink, 1))
            assert isinstance(outcome, Posted), outcome
        return 40

    def in_the_meantime(call: Callable[[], object]) -> threading.Thread:
        def repeat() -> None:
            while not done.is_set():
                call()

        thread = threading.Thread(target=repeat)
        thread.start()
        return thread

    # One statement is one snapshot, in which nothing is on its way.
    others = [
        in_the_meantime(lambda: totals.add(sum(balances([*wallets, sink]).values()))),
        in_the_meantime(partial(fold_now, sink)),
        in_the_meantime(partial(fold_now, sink)),
    ]
    outcomes = run_together(*(partial(pay_often, wallet) for wallet in wallets))
    done.set()
    for thread in others:
        thread.join(timeout=20)

    assert outcomes == [40, 40, 40]
    assert totals == {120}
    wait_until_settled()
    fold_now(sink)
    numbers, sums, _ = zip(*folds_of(sink), strict=True)
    assert numbers == tuple(range(1, len(numbers) + 1))
    assert sums[-1] == balance(sink) == 120
    assert audit.run() == []


def test_of_two_roll_ups_at_once_one_folds_and_the_other_does_not_wait() -> None:
    sink = a_derived_account()
    give_each(sink, 1, 2)
    wait_until_settled()

    with transaction.atomic():
        first = fold_now(sink)
        started = time.monotonic()
        (second,) = run_together(partial(fold_now, sink))
        waited = time.monotonic() - started

    assert (first, second) == (2, 0)
    assert waited < 2
    assert folds_of(sink) == [(1, 3, 2)]


def test_many_roll_ups_at_once_fold_every_entry_once() -> None:
    sink = a_derived_account()
    give_each(sink, *range(1, 11))
    wait_until_settled()

    outcomes = run_together(*[partial(fold_now, sink)] * 6)

    assert sorted(str(outcome) for outcome in outcomes) == ["0"] * 5 + ["10"]
    assert folds_of(sink) == [(1, 55, 10)]


def test_a_roll_up_that_is_killed_leaves_nothing_and_the_next_one_folds() -> None:
    sink, folded, killed = a_derived_account(), threading.Event(), threading.Event()
    session: list[int] = []
    give_each(sink, 3, 4)
    wait_until_settled()

    def roll_up_slowly() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            session.extend(cursor.fetchone())
        assert fold_now(sink) == 2
        folded.set()
        killed.wait(timeout=20)
        fold_now(sink)

    def kill() -> None:
        folded.wait(timeout=20)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", session)
        killed.set()

    outcome, _ = run_together(roll_up_slowly, kill)

    assert isinstance(outcome, DatabaseError | psycopg.Error), outcome
    assert folds_of(sink) == []
    assert balance(sink) == 7
    roll_up()
    assert folds_of(sink) == [(1, 7, 2)]
    assert balance(sink) == 7


def test_a_roll_up_that_is_killed_between_folds_keeps_those_it_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = a_derived_account()
    give_each(sink, 1, 2, 3, 4)
    wait_until_settled()

    with connection.cursor() as cursor:
        cursor.execute("SELECT credits_roll_up(%s, 1, 3)", [sink])
    assert folds_of(sink) == [(1, 6, 3)]
    roll_up()

    assert folds_of(sink) == [(1, 6, 3), (2, 10, 4)]


def test_a_roll_up_does_not_make_postings_wait() -> None:
    sink = a_derived_account()
    give_each(sink, 1)
    wait_until_settled()

    with transaction.atomic():
        fold_now(sink)
        (outcome,) = run_together(partial(give, sink, 5))

    assert isinstance(outcome, Posted), outcome
    assert balance(sink) == 6


# --- The epoch ------------------------------------------------------------------------------------


def raise_epoch() -> int:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SELECT credits_raise_epoch()")
        (epoch,) = cursor.fetchone()
    assert isinstance(epoch, int)
    return epoch


def test_after_an_epoch_is_raised_everything_before_it_is_folded() -> None:
    sink = a_derived_account()
    give_each(sink, 1, 2)

    raise_epoch()
    give_each(sink, 10)
    wait_until_settled()
    roll_up()

    assert balance(sink) == 13
    assert folds_of(sink) == [(1, 13, 3)]
    assert [line.amount for line in statement(sink, limit=5)] == [10, 2, 1]


def test_an_epoch_ends_when_everybody_who_writes_in_it_has_ended() -> None:
    sink, posted, may_commit = a_derived_account(), threading.Event(), threading.Event()
    events: list[str] = []

    def post_in_the_old_epoch() -> Posted:
        made = give(sink, 1)
        posted.set()
        may_commit.wait(timeout=20)
        events.append("commits")
        return made

    def raise_it() -> int:
        posted.wait(timeout=20)
        raised = raise_epoch()
        events.append("raised")
        return raised

    def post_while_it_is_raised() -> Posted:
        posted.wait(timeout=20)
        wait_until_somebody_waits()
        threading.Timer(0.2, may_commit.set).start()
        return give(sink, 100)

    old, raised, between = run_together(post_in_the_old_epoch, raise_it, post_while_it_is_raised)

    assert isinstance(old, Posted)
    assert isinstance(raised, int)
    assert events == ["commits", "raised"]
    # It found no epoch that it could read, looked again, and belongs to the new one.
    assert isinstance(between, Posted), between
    assert Posting.objects.get(pk=between.id).epoch == raised
    give(sink, 10)
    assert balance(sink) == 111
    wait_until_settled()
    roll_up()
    assert folds_of(sink) == [(1, 111, 3)]
    assert audit.run() == []


def test_a_restored_copy_can_be_read_and_folded_before_its_epoch_is_raised() -> None:
    sink = a_derived_account()
    give_each(sink, 1, 2)

    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RESTORED_ELSEWHERE)
        with pytest.raises(DatabaseRestored):
            give(sink, 4)

        assert [line.balance_after for line in statement(sink, limit=5)] == [3, 1]
        assert fold_now(sink) == 2
        assert balance(sink) == 3
        transaction.set_rollback(True)


def test_who_recognises_the_server_keeps_nobody_waiting() -> None:
    ada, bo = a_wallet(10), a_wallet(10)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("UPDATE credits_epoch SET server_started_at = '-infinity'")

    with transaction.atomic():
        pay(ada, FEES, 1)  # notes the start of the server, and has not committed
        (beside,) = run_together(partial(pay, bo, FEES, 1))

    assert isinstance(beside, Posted), beside
    with connection.cursor() as cursor:
        cursor.execute("SELECT server_started_at = pg_postmaster_start_time() FROM credits_epoch")
        assert cursor.fetchone() == (True,)


def test_who_looks_as_another_notes_the_start_is_told_of_no_rival() -> None:
    wallets = [a_wallet(ROUNDS_OF_STARTS) for _ in range(6)]
    posted: list[object] = []

    for _ in range(ROUNDS_OF_STARTS):
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("UPDATE credits_epoch SET server_started_at = '-infinity'")
        posted += run_together(*(partial(pay, one, FEES, 1) for one in wallets))

    assert [one for one in posted if not isinstance(one, Posted)] == []


def test_a_connection_keeps_the_ledgers_statements_and_compiles_none() -> None:
    ada = a_wallet(10)
    for _ in range(4):
        pay(ada, FEES, 1)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'credits_post'"
        )
        assert cursor.fetchone() == (1,)
        # Before PostgreSQL 18, what cannot avoid a sequential scan would be compiled at every call.
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)


# --- Reading over folds ---------------------------------------------------------------------------


def test_a_position_counts_derived_accounts_of_their_owner() -> None:
    owner = uuid4()
    sink = a_derived_account(owner)
    give_each(sink, 2, 3)
    wait_until_settled()
    roll_up()
    give_each(sink, 4)

    assert ledger.position(owner) == {"sink": 9}


def a_folded_account(amounts: list[list[int]], folded_after: set[int]) -> AccountId:
    """Return an account with a transaction per list, folded after some of them."""
    sink = a_derived_account()
    for nth, together in enumerate(amounts):
        with transaction.atomic():
            post_many(
                [
                    NewPosting(
                        reference=unique("fold"),
                        kind="odd" if amount % 2 else "even",
                        legs=[Leg(ISSUANCE, -amount), Leg(sink, amount)],
                    )
                    for amount in together
                ]
            )
        if nth in folded_after:
            wait_until_settled()
            fold_now(sink)
    wait_until_settled()
    return sink


def lines_without_folds(account: AccountId) -> list[StatementLine]:
    """Return an account's lines, newest first, from all its entries and nothing else."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT posting.id, posting.kind, entry.amount, entry.created_at"
            " FROM credits_entry AS entry JOIN credits_posting AS posting"
            " ON posting.id = entry.posting_id WHERE entry.account_id = %s"
            " ORDER BY entry.epoch, entry.xid, posting.id",
            [account],
        )
        lines: list[StatementLine] = []
        for number, (made, kind, amount, at) in enumerate(cursor.fetchall(), start=1):
            after = amount + (lines[-1].balance_after if lines else 0)
            lines.append(StatementLine(made, kind, amount, after, "", "", at, number))
    return lines[::-1]


nonzero = st.integers(-9, 9).filter(bool)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    amounts=st.lists(st.lists(nonzero, min_size=1, max_size=4), min_size=1, max_size=6),
    folded_after=st.sets(st.integers(0, 5)),
    data=st.data(),
)
def test_what_is_read_over_folds_is_what_all_entries_say(
    amounts: list[list[int]], folded_after: set[int], data: st.DataObject
) -> None:
    sink = a_folded_account(amounts, folded_after)
    expected = lines_without_folds(sink)

    assert balance(sink) == expected[0].balance_after
    assert statement(sink, limit=1_000) == expected
    for _ in range(8):
        before = data.draw(st.none() | st.integers(1, len(expected) + 1))
        limit = data.draw(st.integers(1, len(expected)))
        kinds = data.draw(st.sampled_from([None, ["odd"], ["even", "odd"], []]))
        since, until = (data.draw(instants(expected)) for _ in range(2))
        chosen = [
            line
            for line in expected
            if (before is None or line.seq < before)
            and (kinds is None or line.kind in kinds)
            and (since is None or line.created_at >= since)
            and (until is None or line.created_at < until)
        ][:limit]
        assert chosen == statement(
            sink, limit=limit, before=before, kinds=kinds, since=since, until=until
        )
        at = since or expected[0].created_at
        assert balance_at(sink, at) == sum(
            line.amount for line in expected if line.created_at <= at
        )


def instants(lines: list[StatementLine]) -> st.SearchStrategy[datetime | None]:
    """Draw the time of a line, or one just before or after it, or none."""
    microseconds = st.integers(-1, 1).map(lambda few: timedelta(microseconds=few))
    return st.none() | st.builds(
        lambda line, few: line.created_at + few, st.sampled_from(lines), microseconds
    )


def test_an_entry_that_is_dated_before_older_ones_is_found_by_its_time() -> None:
    sink = a_folded_account([[1], [2], [4]], {0, 1})
    newest, middle, oldest = statement(sink, limit=3)
    day = timedelta(days=1)

    # The machine's clock ran back a day while the second fold's entry was written.
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE credits_entry SET created_at = created_at - interval '1 day'"
            " WHERE posting_id = %s",
            [middle.posting_id],
        )
        cursor.execute(
            "UPDATE credits_fold SET oldest_at = oldest_at - interval '1 day', newest_at = %s"
            " WHERE account_id = %s AND number = 2",
            [oldest.created_at, sink],
        )

        assert balance_at(sink, middle.created_at - day) == 2
        assert balance_at(sink, oldest.created_at) == 3
        assert [line.amount for line in statement(sink, limit=3, until=oldest.created_at)] == [2]
        assert [line.amount for line in statement(sink, limit=3, since=oldest.created_at)] == [4, 1]
        assert balance_at(sink, newest.created_at) == 7
        transaction.set_rollback(True)


# --- The migration --------------------------------------------------------------------------------


def test_the_migrations_go_back_and_forth_with_money_in_the_books() -> None:
    sink = a_folded_account([[1], [2], [4]], {0, 1})

    with as_owner(), transaction.atomic():
        call_command("migrate", "credits", "0001", verbosity=0)
        assert fold_tables() == []
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT credits_post(gen_random_uuid(), %s, 'grant', sha256(''), '', '', NULL,"
                " ARRAY[1, %s]::bigint[], ARRAY[-8, 8]::bigint[], NULL)",
                [unique("old"), sink],
            )
            cursor.execute(
                "SELECT sum(amount) FROM credits_statement(%s, NULL, 9, NULL, NULL, NULL)", [sink]
            )
            assert cursor.fetchone() == (7,)
            cursor.execute("SELECT credits_balance_at(%s, clock_timestamp())", [sink])
            assert cursor.fetchone() == (15,)
        call_command("migrate", "credits", verbosity=0)
        assert fold_tables() == ["credits_fold", "credits_seal"]
        assert balance(sink) == 15
        transaction.set_rollback(True)


def fold_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_name IN ('credits_fold', 'credits_seal') ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]
