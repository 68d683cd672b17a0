"""Every rule of the database, tried as its owner with SQL past the ledger's functions.

What its own role keeps the application from is in `test_roles`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from credits.errors import (
    AppendOnly,
    DatabaseRestored,
    LedgerError,
    OutOfSequence,
    UnbalancedLegs,
    ledger_errors,
)
from credits.ledger import FEES, ISSUANCE, AccountId, Leg, balance, close_account, entries_of
from credits.models import Account, Entry, Posting
from credits.rollup import roll_up
from tests.credits.books import RESTORED_ELSEWHERE, seal_everything
from tests.credits.cast import (
    a_derived_account,
    a_wallet,
    give,
    pay,
    posting,
    unique,
    wait_until_settled,
)

pytestmark = pytest.mark.usefixtures("owner")

POSTING = (
    "INSERT INTO credits_posting (id, kind, reference, digest, epoch) VALUES (%s, %s, %s, %s, 1)"
)
ENTRIES = (
    "INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, epoch) VALUES "
)
CHANGE = "UPDATE credits_account SET {} WHERE id = %s"
OPEN = "INSERT INTO credits_account (kind, {}) VALUES ('wallet', {})"
DIGEST = bytes(32)


def run(sql: str, values: Sequence[Any] = ()) -> None:
    with ledger_errors(), connection.cursor() as cursor:
        cursor.execute(sql, values or None)


@contextmanager
def undone() -> Iterator[None]:
    """Undo what happens inside, also when it succeeds: these tests write by hand."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def as_the_functions_do() -> None:
    """Say what the ledger's functions say, to reach the rules behind the guard against hands."""
    run("SET LOCAL credits.writing = 'on'")


def broken_constraint(sql: str, values: Sequence[object] = ()) -> str:
    """Return the name of the constraint that refuses *sql*."""
    with undone():
        as_the_functions_do()
        with pytest.raises(DatabaseError) as refusal, transaction.atomic():
            run(sql, values)
    return str(refusal.value.__cause__.diag.constraint_name)  # type: ignore[union-attr]


@pytest.mark.parametrize("table", ["credits_posting", "credits_entry"])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE {table} SET epoch = epoch",
        "UPDATE {table} SET epoch = epoch WHERE false",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
    ],
)
def test_what_is_recorded_cannot_be_changed_or_removed(table: str, sql: str) -> None:
    with pytest.raises(AppendOnly, match="post a reversal instead") as refusal, undone():
        run(sql.format(table=table))

    assert refusal.value.table == table


@pytest.mark.parametrize("sql", ["DELETE FROM credits_account", "TRUNCATE credits_account"])
def test_accounts_cannot_be_removed(sql: str) -> None:
    with pytest.raises(AppendOnly), undone():
        run(sql)


@pytest.mark.parametrize(
    "change",
    [
        "owner = gen_random_uuid()",
        "kind = 'escrow'",
        "reference = 'another'",
        "floor = -1",
        "opened_at = now()",
        "seq = seq - 1",
        "id = id + 1000000000",
    ],
)
def test_what_an_account_is_never_changes(change: str) -> None:
    ada = a_wallet(10)

    with pytest.raises(AppendOnly), undone():
        run(CHANGE.format(change), [ada])


@pytest.mark.parametrize("change", ["closed_at = NULL", "balance = 0", "posted_at = now()"])
@pytest.mark.parametrize("account", ["open", "closed", "derived"])
def test_nobody_changes_an_account_by_hand(account: str, change: str) -> None:
    changed = FEES if account == "derived" else a_wallet()
    if account == "closed":
        with transaction.atomic():
            close_account(changed)

    with pytest.raises(AppendOnly, match="by the ledger's functions"), undone():
        run(CHANGE.format(change), [changed])


def test_nobody_posts_by_hand() -> None:
    with pytest.raises(AppendOnly, match="credits_posting"), undone():
        run(POSTING, [uuid4(), "k", unique("hand"), DIGEST])


def test_nobody_adds_entries_by_hand() -> None:
    made = posting(Leg(ISSUANCE, -1), Leg(FEES, 1)).id
    ada = a_wallet(1)

    with pytest.raises(AppendOnly, match="credits_entry"), undone():
        run(f"{ENTRIES} (%s, %s, -1, 2, 0, 1), (%s, %s, 1, 3, 1, 1)", [made, ada, uuid4(), ada])
    with pytest.raises(AppendOnly, match="credits_entry"), undone():
        run("INSERT INTO credits_entry SELECT * FROM credits_entry WHERE false")


@pytest.mark.parametrize("said", ["", "off", "{1,2}"])
def test_what_a_function_said_does_not_outlast_it(said: str) -> None:
    with undone():
        pay(a_wallet(5), a_wallet(), 5)
        if said:
            run("SET LOCAL credits.writing = %s", [said])

        with pytest.raises(AppendOnly, match="by the ledger's functions"), transaction.atomic():
            run(POSTING, [uuid4(), "k", unique("hand"), DIGEST])


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("balance", "5"),
        ("seq", "1"),
        ("closed_at", "now()"),
        ("floor", "NULL"),
        ("mode, floor", "'derived', NULL"),  # its id is not one of the ledger's own
        ("id, mode", "-7, 'derived'"),
        ("id", "7"),
    ],
)
def test_an_account_opens_empty_and_as_what_its_id_says(columns: str, values: str) -> None:
    with pytest.raises(AppendOnly), undone():
        run(OPEN.format(columns, values))


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("balance = -1", "credits_account_floor"),
        ("balance = 1000000000000000001", "credits_balance_ceiling"),
        ("seq = -1", "credits_count_is_not_negative"),
        ("floor = 1", "credits_floor_is_bounded"),
        ("floor = -1000000000000000001", "credits_floor_is_bounded"),
        ("kind = ''", "credits_kind_is_short"),
        ("mode = 'other'", "credits_mode_is_known"),
        ("reference = repeat('x', 201)", "credits_name_is_short"),
    ],
)
def test_a_constraint_stands_behind_every_rule_of_an_account(change: str, constraint: str) -> None:
    ada = a_wallet(10)

    broken = broken_constraint(CHANGE.format(change), [ada])

    assert broken == constraint


def test_an_owner_has_one_open_account_of_a_kind_and_reference() -> None:
    sql = "INSERT INTO credits_account (kind, owner, reference) VALUES (%s, %s, %s)"
    for owner in (uuid4(), None):
        values = ["wallet", owner, unique("pocket")]
        run(sql, values)

        assert broken_constraint(sql, values) == "credits_account_one_open"


def test_a_work_has_one_escrow_for_ever() -> None:
    sql = "INSERT INTO credits_account (kind, owner, reference) VALUES ('escrow', %s, %s)"
    work = unique("task")
    run(sql, [uuid4(), work])

    assert broken_constraint(sql, [uuid4(), work]) == "credits_account_one_escrow"


@pytest.mark.parametrize(
    ("kind", "reference", "digest", "constraint"),
    [
        ("", "r", DIGEST, "credits_kind_is_short"),
        ("k", "", DIGEST, "credits_reference_is_short"),
        ("k", "r" * 201, DIGEST, "credits_reference_is_short"),
        ("k", "r", b"short", "credits_digest_is_sha256"),
    ],
)
def test_a_constraint_stands_behind_every_rule_of_a_posting(
    kind: str, reference: str, digest: bytes, constraint: str
) -> None:
    assert broken_constraint(POSTING, [uuid4(), kind, reference, digest]) == constraint


def test_a_reference_names_one_posting() -> None:
    made = posting(Leg(ISSUANCE, -1), Leg(FEES, 1), reference=(reference := unique("one")))

    broken = broken_constraint(POSTING, [uuid4(), "k", reference, DIGEST])

    assert broken == "credits_posting_reference_is_unique"
    assert entries_of(made.id)


Row = tuple[AccountId, int, int | None, int | None]


def write_entries(*rows: Row) -> None:
    """Insert a posting with these entries (account, amount, seq, balance after), by hand."""
    made = uuid4()
    as_the_functions_do()
    run(POSTING, [made, "by hand", unique("hand"), DIGEST])
    places = ", ".join("(%s, %s, %s, %s, %s, 1)" for _ in rows)
    run(ENTRIES + places, [value for row in rows for value in (made, *row)])


@pytest.mark.parametrize(
    "rows",
    [
        [(ISSUANCE, -5, None, None), (FEES, 4, None, None)],
        [(ISSUANCE, -5, None, None)],
    ],
)
def test_entries_that_do_not_balance_are_refused(rows: list[Row]) -> None:
    with pytest.raises(UnbalancedLegs), undone():
        write_entries(*rows)


def test_entries_of_two_postings_balance_each_whatever_the_functions_say() -> None:
    one, other = uuid4(), uuid4()
    with undone():
        as_the_functions_do()
        for made in (one, other):
            run(POSTING, [made, "by hand", unique("hand"), DIGEST])
        run("SET LOCAL credits.writing = %s", [f"on{one}"])
        two_sides = f"{ENTRIES} (%s, 1, -5, NULL, NULL, 1), (%s, 2, 5, NULL, NULL, 1)"

        with pytest.raises(UnbalancedLegs), transaction.atomic():
            run(two_sides, [one, other])
        run(two_sides, [other, other])
        run(two_sides, [one, one])


@pytest.mark.parametrize("said", ["on", "on{1,2}"])  # a batch; a posting begun before 0011
def test_entries_that_no_function_names_are_summed_all_the_same(said: str) -> None:
    made = uuid4()
    with undone():
        as_the_functions_do()
        run(POSTING, [made, "by hand", unique("hand"), DIGEST])
        run("SET LOCAL credits.writing = %s", [said])
        entries = f"{ENTRIES} (%s, 1, -5, NULL, NULL, 1), (%s, 2, %s, NULL, NULL, 1)"

        with pytest.raises(UnbalancedLegs), transaction.atomic():
            run(entries, [made, made, 4])
        run(entries, [made, made, 5])


def test_a_number_of_an_account_is_taken_once() -> None:
    ada = a_wallet(10)

    with pytest.raises(DatabaseError, match="credits_entry_number"), undone():
        write_entries((ISSUANCE, -5, None, None), (ada, 5, 1, 15))


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        ((ISSUANCE, 0, None, None), "credits_amount_moves_something"),
        ((ISSUANCE, 10**18 + 1, None, None), "credits_amount_is_bounded"),
        ((ISSUANCE, 1, 0, 0), "credits_number_counts_from_one"),
    ],
)
def test_a_constraint_stands_behind_every_rule_of_an_entry(row: Row, constraint: str) -> None:
    with pytest.raises(DatabaseError, match=constraint), undone():
        write_entries(row, (FEES, 1, None, None))


def test_the_function_refuses_an_account_named_twice_by_hand() -> None:
    ada = a_wallet(10)

    with pytest.raises(LedgerError), undone():
        run(
            "SELECT credits_post(%s, %s, 'k', %s, '', '', NULL, %s::bigint[], %s::bigint[], NULL)",
            [uuid4(), unique("twice"), DIGEST, [ada, ada, 2], [1, 1, -1]],
        )


@pytest.mark.parametrize("accounts", [None, []])
@pytest.mark.parametrize("amounts", [[1, -1], []])
def test_the_function_makes_no_posting_without_entries(
    accounts: list[int] | None, amounts: list[int]
) -> None:
    with pytest.raises(LedgerError), undone():
        run(
            "SELECT credits_post(%s, %s, 'k', %s, '', '', NULL, %s::bigint[], %s::bigint[], NULL)",
            [uuid4(), unique("none"), DIGEST, accounts, amounts],
        )


def a_fold() -> AccountId:
    """Return an account with one fold, of two entries."""
    sink = a_derived_account()
    give(sink, 1)
    give(sink, 2)
    wait_until_settled()
    roll_up()
    return sink


def a_block() -> int:
    """Return the number of the newest block."""
    a_wallet(1)
    return seal_everything()[-1].number


@pytest.mark.parametrize("table", ["credits_fold", "credits_seal"])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE {table} SET number = number",
        "UPDATE {table} SET number = number WHERE false",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
    ],
)
def test_what_is_folded_and_sealed_cannot_be_changed_or_removed(table: str, sql: str) -> None:
    with pytest.raises(AppendOnly) as refusal, undone():
        run(sql.format(table=table))

    assert refusal.value.table == table


FOLD = """
    INSERT INTO credits_fold
        (account_id, number, upto_epoch, upto_xid, balance, entries, oldest_at, newest_at)
    SELECT account_id, {number}, upto_epoch + {epochs}, upto_xid, balance, {entries},
        newest_at, {newest_at}
    FROM credits_fold WHERE account_id = %s
"""
NEXT_FOLD = {"number": "2", "epochs": "1", "entries": "3", "newest_at": "newest_at"}


@pytest.mark.parametrize(
    "change",
    [
        {"number": "1"},
        {"number": "3"},
        {"epochs": "0"},
        {"entries": "2"},
        {"newest_at": "newest_at - interval '1 s'"},
    ],
)
def test_a_fold_goes_on_where_the_one_before_it_ended(change: dict[str, str]) -> None:
    sink = a_fold()
    with undone():
        run(FOLD.format(**NEXT_FOLD), [sink])

    with pytest.raises(OutOfSequence) as refusal, undone():
        run(FOLD.format(**NEXT_FOLD | change), [sink])

    assert refusal.value.table == "credits_fold"


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("1, '1', 1, 0, now(), now()", "credits_fold_is_not_empty"),
        ("1, '1', 1, 1, now(), now() - interval '1 s'", "credits_fold_times_follow"),
    ],
)
def test_a_constraint_stands_behind_every_rule_of_a_fold(values: str, constraint: str) -> None:
    sql = """
        INSERT INTO credits_fold (account_id, number, upto_epoch, upto_xid, balance, entries,
            oldest_at, newest_at) VALUES (%s, 1, {})
    """

    assert broken_constraint(sql.format(values), [a_derived_account()]) == constraint


SEAL = """
    INSERT INTO credits_seal (number, previous, root, hash, entries, salt, upto_epoch, upto_xid,
        upto_posting, upto_account, sealed_at)
    SELECT number + {step}, {previous}, {root}, sha256(hash), {entries}, salt,
        upto_epoch + {epochs}, upto_xid, upto_posting, upto_account, {sealed_at}
    FROM credits_seal WHERE number = %s
"""
NEXT_SEAL = {
    "step": "1",
    "previous": "hash",
    "root": "root",
    "entries": "1",
    "epochs": "1",
    "sealed_at": "sealed_at",
}


@pytest.mark.parametrize(
    "change",
    [
        {"step": "2"},
        {"previous": "sha256(hash)"},
        {"epochs": "0"},
        {"sealed_at": "sealed_at - interval '1 s'"},
    ],
)
def test_a_seal_goes_on_where_the_one_before_it_ended(change: dict[str, str]) -> None:
    newest = a_block()
    with undone():
        run(SEAL.format(**NEXT_SEAL), [newest])

    with pytest.raises(OutOfSequence) as refusal, undone():
        run(SEAL.format(**NEXT_SEAL | change), [newest])

    assert refusal.value.table == "credits_seal"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"entries": "0"}, "credits_seal_is_not_empty"),
        ({"root": "root || root"}, "credits_seal_hashes_are_sha256"),
        ({"step": "0"}, "credits_seal_pkey"),
        ({"step": "-number"}, "credits_seal_numbers_from_one"),
    ],
)
def test_a_constraint_stands_behind_every_rule_of_a_seal(
    change: dict[str, str], constraint: str
) -> None:
    assert broken_constraint(SEAL.format(**NEXT_SEAL | change), [a_block()]) == constraint


def test_a_restored_database_refuses_postings_until_its_epoch_is_raised() -> None:
    ada = a_wallet(10)

    with undone():
        run(RESTORED_ELSEWHERE)
        with pytest.raises(DatabaseRestored) as refusal:
            pay(ada, FEES, 1)
        run("SELECT credits_raise_epoch()")
        made = pay(ada, FEES, 1)
        epochs = set(Entry.objects.filter(posting_id=made.id).values_list("epoch", flat=True))

        assert epochs == {Posting.objects.get(pk=made.id).epoch} == {refusal.value.epoch + 1}


def test_an_epoch_never_stands_twice() -> None:
    sql = "INSERT INTO credits_epoch (only_row, epoch, system_identifier) VALUES (false, 2, 2)"

    assert broken_constraint(sql) == "credits_epoch_has_one_row"
    assert broken_constraint("UPDATE credits_epoch SET epoch = 0") == "credits_epoch_is_positive"


def test_the_models_read_what_the_ledger_wrote_and_write_nothing() -> None:
    ada, bo = a_wallet(10), a_wallet()

    made = pay(ada, bo, 4)

    row = Posting.objects.get(pk=made.id)
    assert {entry.account_id: entry.amount for entry in row.entries.all()} == {ada: -4, bo: 4}
    assert Account.objects.get(pk=ada).balance == balance(ada) == 6
    for written in (row, Account.objects.get(pk=ada), row.entries.first()):
        assert written is not None
        with pytest.raises(TypeError):
            written.save()
        with pytest.raises(TypeError):
            written.delete()


def test_the_models_say_what_the_migrations_made() -> None:
    call_command("makemigrations", "credits", check=True, dry_run=True, verbosity=0)
