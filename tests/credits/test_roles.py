"""What the application's own role can do to the ledger, tried: nothing but call what is public."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors

from credits import audit, escrow, roles
from credits.ledger import FEES, ISSUANCE, AccountId, Leg, balance, close_account, entries_of
from marketplace.ops.roles import OWNER, application, give_rights
from tests.credits.books import seal_everything
from tests.credits.cast import a_wallet, give, pay, posting, unique
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db")

DIGEST = bytes(32)
Rows = list[tuple[Any, ...]]


def run(sql: str, values: list[Any] | None = None) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def refusal_of(sql: str, values: list[Any] | None = None) -> psycopg.Error | None:
    """Return why PostgreSQL refuses *sql*; None where it does not. Either way it is undone."""
    try:
        with undone():
            run(sql, values)
    except DatabaseError as error:
        return cause_of(error)
    return None


def cause_of(error: BaseException) -> psycopg.Error:
    cause = error.__cause__
    assert isinstance(cause, psycopg.Error)
    return cause


def ledger_tables() -> list[str]:
    found = run(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')"
        " AND starts_with(relname, 'credits_') AND relnamespace = 'public'::regnamespace"
    )
    assert len(found) >= 7
    return sorted(name for (name,) in found)


@dataclass(frozen=True)
class Function:
    signature: str
    name: str
    types: list[str]

    @property
    def is_public(self) -> bool:
        return self.signature in (*roles.WRITES, *roles.READS)

    @property
    def call(self) -> str:
        """Return SQL that calls it, with nothing in every argument."""
        return f"SELECT {self.name}({', '.join(f'NULL::{one}' for one in self.types)})"


def ledger_functions() -> list[Function]:
    """Return every function of the ledger's; it is what the catalogue says, so none is left out."""
    found = run(
        "SELECT proname || '(' || oidvectortypes(proargtypes) || ')', proname,"
        " ARRAY(SELECT format_type(one, NULL) FROM unnest(proargtypes) AS one)"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND (starts_with(proname, 'credits_') OR proname = 'xid_epoch')"
    )
    assert len(found) >= 30
    return [Function(*row) for row in found]


# --- What is refused ------------------------------------------------------------------------------


def test_tests_run_as_the_application_which_owns_nothing() -> None:
    ((name, is_superuser),) = run(
        "SELECT rolname, rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles"
        " WHERE rolname = session_user AND rolname = current_user"
    )
    owned = run("SELECT oid FROM pg_class WHERE pg_get_userbyid(relowner) = current_user")

    assert name == application()
    assert not is_superuser
    assert owned == []
    assert roles.powers() == []


VERBS = {
    "update": "UPDATE {table} SET {column} = {column} WHERE false",
    "delete": "DELETE FROM {table} WHERE false",
    "truncate": "TRUNCATE {table}",
    "insert": "INSERT INTO {table} SELECT * FROM {table} WHERE false",
    "upsert": "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT DO NOTHING",
    "merge": "MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    "lock a row": "SELECT FROM {table} FOR UPDATE",
    "lock the table": "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
    "disable its triggers": "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "add a trigger": (
        "CREATE TRIGGER mine BEFORE UPDATE ON {table} FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "add a rule": "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "drop": "DROP TABLE {table}",
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_table_of_the_ledger_can_be_changed(verb: str) -> None:
    for table in ledger_tables():
        (column,) = run(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [table]
        )[0]

        refusal = refusal_of(VERBS[verb].format(table=table, column=column))

        assert isinstance(refusal, errors.InsufficientPrivilege), (table, refusal)


def test_every_table_of_the_ledger_can_be_read() -> None:
    for table in ledger_tables():
        # As text: Python has no word for the instants before the first posting.
        every_column = f"SELECT a_row::text FROM {table} a_row LIMIT 1"  # noqa: S608 - the catalogue's
        assert refusal_of(every_column) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nextval('credits_account_id_seq')",
        "SELECT setval('credits_account_id_seq', 1)",
        "SET session_replication_role = replica",
        "SET ROLE {owner}",
        "CREATE TABLE credits_mine (id integer)",
        "CREATE TEMPORARY TABLE credits_account (id integer)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION xid_epoch() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION credits_check_entries() RENAME TO mine",
        "ALTER DATABASE {database} SET search_path = mine",
    ],
)
def test_no_way_round_is_open(sql: str) -> None:
    ((database,),) = run("SELECT current_database()")
    with as_owner():
        ((owner,),) = run("SELECT current_user")

    refusal = refusal_of(sql.format(owner=owner, database=database))

    assert isinstance(refusal, errors.InsufficientPrivilege), refusal


def test_a_function_is_public_or_refused() -> None:
    for function in ledger_functions():
        refusal = refusal_of(function.call)

        denied = isinstance(refusal, errors.InsufficientPrivilege)
        assert denied != function.is_public, (function.signature, refusal)


def test_what_is_listed_as_public_is_there() -> None:
    assert {*roles.WRITES, *roles.READS} <= {one.signature for one in ledger_functions()}


def test_only_what_is_listed_as_writing_has_its_owners_rights_and_names_its_schema() -> None:
    found = run(
        "SELECT proname || '(' || oidvectortypes(proargtypes) || ')', proconfig FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )

    assert {signature for signature, _ in found} == set(roles.WRITES)
    for signature, configuration in found:
        assert "search_path=public, pg_temp" in configuration, signature


def test_a_table_of_the_callers_cannot_stand_in_for_one_of_the_ledgers() -> None:
    owner = uuid4()
    with as_owner(), undone():
        run("CREATE TEMPORARY TABLE credits_account (LIKE credits_account INCLUDING ALL)")
        run("GRANT ALL ON pg_temp.credits_account TO PUBLIC")
        run(f'SET LOCAL ROLE "{application()}"')
        run("SELECT credits_open_account('wallet', %s, '', 0)", [owner])

        assert run("SELECT count(*) FROM pg_temp.credits_account") == [(0,)]
        assert run("SELECT count(*) FROM public.credits_account WHERE owner = %s", [owner]) == [
            (1,)
        ]


# --- Giving and taking rights ---------------------------------------------------------------------


def test_what_a_later_migration_makes_is_for_the_owner_alone() -> None:
    role = application()
    with as_owner(), undone():
        run("CREATE TABLE credits_later (id bigint GENERATED ALWAYS AS IDENTITY)")
        run("CREATE FUNCTION credits_later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        run("GRANT UPDATE (id) ON credits_later TO PUBLIC")
        before = roles.powers(role)

        roles.restrict(role)

        assert before == ["credits_later", "credits_later()"]
        assert roles.powers(role) == []
        assert run("SELECT has_table_privilege(%s, 'credits_later', 'SELECT')", [role]) == [(True,)]


@pytest.mark.parametrize(
    "gift",
    [
        "GRANT UPDATE ON credits_entry TO PUBLIC",
        'GRANT TRUNCATE ON credits_entry TO "{role}"',
        'GRANT UPDATE (amount) ON credits_entry TO "{role}"',
        "GRANT EXECUTE ON FUNCTION credits_raise_epoch() TO PUBLIC",
        'GRANT USAGE ON SEQUENCE credits_account_id_seq TO "{role}"',
    ],
)
def test_rights_that_somebody_gave_by_hand_are_taken_back(gift: str) -> None:
    role = application()
    with as_owner(), undone():
        run(gift.format(role=role))

        give_rights()

        assert roles.powers(role) == []
        assert run(
            "SELECT has_sequence_privilege(%s, 'credits_account_id_seq', 'USAGE')", [role]
        ) == [(False,)]


@pytest.mark.parametrize("made", ["SUPERUSER", 'IN ROLE "{owner}"'])
def test_a_role_that_cannot_be_restricted_is_refused(made: str) -> None:
    with as_owner(), undone():
        run("CREATE ROLE hansa_owner_of_a_test")
        run("ALTER TABLE credits_entry OWNER TO hansa_owner_of_a_test")
        run(f"CREATE ROLE hansa_too_powerful {made.format(owner='hansa_owner_of_a_test')}")

        with pytest.raises(roles.RoleTooPowerful, match="connect as another") as refusal:
            roles.restrict("hansa_too_powerful", using=OWNER)

        assert "credits_entry" in refusal.value.powers


# --- Every constraint, from the application's side ------------------------------------------------


def call(name: str, *values: object) -> Rows:
    """Call a public function past Python's checks."""
    return run(f"SELECT {name}({', '.join(['%s'] * len(values))})", list(values))


def legs(*both: tuple[AccountId, int]) -> tuple[list[AccountId], list[int]]:
    return [account for account, _ in both], [amount for _, amount in both]


def post_by_hand(
    *both: tuple[AccountId, int],
    made: UUID | None = None,
    reference: str | None = None,
    kind: str = "kind",
    digest: bytes = DIGEST,
    memo: str = "",
    subject: str = "",
) -> Rows:
    accounts, amounts = legs(*both or ((ISSUANCE, -1), (FEES, 1)))
    return run(
        "SELECT credits_post(%s, %s, %s, %s, %s, %s, %s::bigint[], %s::bigint[])",
        [
            *(made or uuid4(), unique("by hand") if reference is None else reference),
            *(kind, digest, memo, subject, accounts, amounts),
        ],
    )


def batch_by_hand(*both: tuple[AccountId, int]) -> Rows:
    """Post a batch of one."""
    return run(
        "SELECT credits_post_many(ARRAY[gen_random_uuid()], ARRAY[%s], '{k}', ARRAY[sha256('')],"
        " '{\"\"}', '{\"\"}', array_fill(1, ARRAY[%s]), %s::bigint[], %s::bigint[])",
        [unique("batch"), len(both), *legs(*both)],
    )


def open_by_hand(kind: str = "wallet", reference: str = "", floor: int | None = 0) -> Rows:
    return run("SELECT credits_open_account(%s, %s, %s, %s)", [kind, uuid4(), reference, floor])


def seal_by_hand(**change: object) -> Rows:
    """Add a block like the newest one behind it, but for *change*, which is SQL."""
    columns = {
        "number": "number + 1",
        "previous": "hash",
        "root": "root",
        "hash": "sha256(hash)",
        "entries": "1",
        "salt": "salt",
        "upto_epoch": "upto_epoch + 1",
        "upto_xid": "upto_xid",
        "upto_posting": "upto_posting",
        "upto_account": "upto_account",
        "sealed_at": "sealed_at",
    } | change
    return run(
        f"SELECT credits_add_seal({', '.join(map(str, columns.values()))})"  # noqa: S608 - literals
        " FROM credits_seal ORDER BY number DESC LIMIT 1"
    )


def reverse_by_hand(made: UUID, taken_back: UUID) -> Rows:
    return run(
        "SELECT credits_reverse(%s, %s, %s, %s, '')", [made, taken_back, unique("back"), DIGEST]
    )


def reverse_twice() -> Rows:
    paid = give(a_wallet(), 1).id
    reverse_by_hand(uuid4(), paid)
    return reverse_by_hand(uuid4(), paid)


def reverse_into_itself() -> Rows:
    paid = give(a_wallet(), 1).id
    return reverse_by_hand(paid, paid)


def post_to_a_wallet_named_twice() -> Rows:
    ada = a_wallet(1)
    return post_by_hand((ada, 1), (ada, 1), (ISSUANCE, -1))


def post_under_a_known_id() -> Rows:
    return post_by_hand(made=give(a_wallet(), 1).id)


def post_twice_under_a_reference() -> Rows:
    reference = unique("twice")
    post_by_hand(reference=reference)
    return post_by_hand(reference=reference, digest=bytes([1] * 32))


def open_the_escrow_of_ended_work() -> Rows:
    work, ada = unique("task"), a_wallet(1)
    escrow.fund(work=work, owner=None, source=ada, amount=1, reference=unique("fund"))
    escrow.refund(work=work, to=ada)
    return open_by_hand("escrow", work)


Attempt = Callable[[], Rows]
BILLION = 10**18
# By the constraint, index or trigger that it would break: a call as the application, and what
# answers: the constraint itself, or a function that asked first (its SQLSTATE).
ATTEMPTS: dict[str, tuple[Attempt, str]] = {
    "credits_kind_is_short": (lambda: open_by_hand(kind=""), ""),
    "credits_reference_is_short": (lambda: post_by_hand(reference=""), ""),
    "credits_name_is_short": (lambda: open_by_hand(reference="x" * 201), ""),
    "credits_memo_is_short": (lambda: post_by_hand(memo="m" * 1001), ""),
    "credits_digest_is_sha256": (lambda: post_by_hand(digest=b"short"), ""),
    "credits_floor_is_bounded": (lambda: open_by_hand(floor=-BILLION - 1), ""),
    "credits_balance_ceiling": (
        lambda: post_by_hand((ISSUANCE, -BILLION), (a_wallet(1), BILLION)),
        "HL006",
    ),
    "credits_amount_moves_something": (lambda: post_by_hand((ISSUANCE, 0), (FEES, 0)), ""),
    "credits_amount_is_bounded": (
        lambda: post_by_hand((ISSUANCE, -BILLION - 1), (FEES, BILLION + 1)),
        "",
    ),
    "credits_account_opens_empty": (lambda: open_by_hand(floor=None), "HL012"),
    "credits_account_floor": (lambda: post_by_hand((a_wallet(1), -2), (FEES, 2)), "HL001"),
    "credits_account_one_escrow": (open_the_escrow_of_ended_work, ""),
    "credits_posting_pkey": (post_under_a_known_id, ""),
    "credits_posting_reference_is_unique": (post_twice_under_a_reference, "HL004"),
    "credits_posting_reversed_once": (reverse_twice, ""),
    "credits_entry_pkey": (lambda: batch_by_hand((FEES, 1), (FEES, 1), (ISSUANCE, -2)), ""),
    "credits_entry_is_checked": (lambda: post_by_hand((ISSUANCE, -1), (FEES, 2)), "HL005"),
    "credits_seal_numbers_from_one": (lambda: seal_by_hand(number="0"), ""),
    "credits_seal_is_not_empty": (lambda: seal_by_hand(entries="0"), ""),
    "credits_seal_hashes_are_sha256": (lambda: seal_by_hand(root="root || root"), ""),
    "credits_seal_follows": (lambda: seal_by_hand(number="number + 2"), "HL016"),
    "credits_switch_reason_is_short": (lambda: call("credits_stop_writing", "", "ada"), ""),
    "credits_switch_actor_is_short": (lambda: call("credits_stop_writing", "Why.", ""), ""),
}
# What no public function comes near; the tables themselves are closed (above), and `test_guards`
# tries each as the owner.
OUT_OF_REACH = {
    "credits_mode_is_known": "no function is told a mode",
    "credits_count_is_not_negative": "functions count by themselves",
    "credits_number_counts_from_one": "functions count by themselves",
    "credits_account_pkey": "the database numbers accounts",
    "credits_account_one_open": "opening an open account returns it",
    "credits_account_is_kept": "nothing removes an account",
    "credits_account_changes_by_function": "it is for those who may write",
    "credits_posting_is_made_by_function": "it is for those who may write",
    "credits_posting_is_append_only": "nothing changes a posting",
    "credits_entry_is_append_only": "nothing changes an entry",
    "credits_entry_number": "the account's row is locked while a number is taken",
    "credits_epoch_pkey": "only the owner raises the epoch",
    "credits_epoch_has_one_row": "only the owner raises the epoch",
    "credits_epoch_is_positive": "only the owner raises the epoch",
    "credits_fold_pkey": "a roll-up locks the account",
    "credits_fold_numbers_from_one": "a roll-up counts by itself",
    "credits_fold_grows": "a roll-up counts by itself",
    "credits_fold_is_not_empty": "a roll-up counts by itself",
    "credits_fold_times_follow": "a roll-up reads the times by itself",
    "credits_fold_follows": "a roll-up goes on from the last fold",
    "credits_fold_is_append_only": "nothing changes a fold",
    "credits_seal_pkey": "a block whose number is taken is not added",
    "credits_seal_ends_once": "a block whose end is taken is not added",
    "credits_seal_is_append_only": "nothing changes a block",
    "credits_switch_pkey": "turns are counted under a lock",
    "credits_switch_numbers_from_one": "turns are counted under a lock",
    "credits_switch_follows": "turns are counted under a lock",
    "credits_switch_is_append_only": "nothing changes a turn",
    "credits_money_is_read_only": "tried with every call in test_switch",
}
# What the functions ask besides, where no constraint would.
ASKED: dict[str, tuple[Attempt, str]] = {
    "an account with money is not closed": (
        lambda: call("credits_close_account", a_wallet(1)),
        "HL009",
    ),
    "a derived account is not closed": (lambda: call("credits_close_account", FEES), "HL010"),
    "a closed account takes nothing": (
        lambda: post_by_hand((a_closed_wallet(), 1), (ISSUANCE, -1)),
        "HL002",
    ),
    "an account is known": (lambda: post_by_hand((AccountId(2**62), 1), (ISSUANCE, -1)), "HL003"),
    "a wallet is named once": (post_to_a_wallet_named_twice, "HL015"),
    "a derived account is named once": (
        lambda: post_by_hand((FEES, 1), (FEES, 1), (ISSUANCE, -2)),
        "HL015",
    ),
    "nothing takes itself back": (reverse_into_itself, "23505"),
}


def a_closed_wallet() -> AccountId:
    wallet = a_wallet()
    with transaction.atomic():
        close_account(wallet)
    return wallet


@pytest.mark.parametrize("guard", ATTEMPTS)
def test_the_application_cannot_break_it_through_a_function(guard: str) -> None:
    attempt, sqlstate = ATTEMPTS[guard]
    a_wallet(1)
    seal_everything()  # so that there is a block

    with pytest.raises(DatabaseError) as refusal, undone():
        attempt()

    cause = cause_of(refusal.value)
    if sqlstate:
        assert cause.sqlstate == sqlstate, cause
    else:
        assert cause.diag.constraint_name == guard, cause


@pytest.mark.parametrize("rule", ASKED)
def test_a_function_asks_what_no_constraint_does(rule: str) -> None:
    attempt, sqlstate = ASKED[rule]

    with undone():
        refusal = attempted(attempt)

    assert refusal == sqlstate


def test_every_constraint_index_and_trigger_of_the_ledger_is_tried_or_out_of_reach() -> None:
    found = run(
        """
        SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE contype <> 'n' AND starts_with(relname, 'credits_')
        UNION SELECT conname FROM pg_constraint JOIN pg_type ON pg_type.oid = contypid
        WHERE starts_with(typname, 'credits_')
        UNION SELECT index.relname FROM pg_index
            JOIN pg_class AS index ON index.oid = indexrelid
            JOIN pg_class AS indexed ON indexed.oid = indrelid
        WHERE indisunique AND starts_with(indexed.relname, 'credits_')
        UNION SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND starts_with(relname, 'credits_')
        """
    )

    assert {name for (name,) in found} == ATTEMPTS.keys() | OUT_OF_REACH.keys()
    assert not ATTEMPTS.keys() & OUT_OF_REACH.keys()


# --- Whatever a public function is called with, the books stay right ------------------------------


def post_many_by_hand(
    ids: list[UUID], references: list[str], places: list[int], *both: tuple[AccountId, int]
) -> Rows:
    count = len(ids)
    accounts, amounts = legs(*both)
    return run(
        "SELECT credits_post_many(%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::text[],"
        " %s::text[], %s::integer[], %s::bigint[], %s::bigint[])",
        [
            *(ids, references, ["kind"] * count, [DIGEST] * count, [""] * count, [""] * count),
            *(places, accounts, amounts),
        ],
    )


def test_entries_cannot_be_added_to_a_posting_that_stands() -> None:
    ada, bo, made, reference = a_wallet(9), a_wallet(), uuid4(), unique("stands")
    post_by_hand((ISSUANCE, -1), (FEES, 1), made=made, reference=reference)

    refusal = attempted(lambda: post_many_by_hand([made], [reference], [1, 1], (ada, -5), (bo, 5)))

    assert refusal == "HL012"


def test_entries_cannot_be_added_to_a_posting_of_the_same_transaction() -> None:
    ada, bo, made, reference = a_wallet(9), a_wallet(), uuid4(), unique("stands")

    with undone():
        post_by_hand((ISSUANCE, -1), (FEES, 1), made=made, reference=reference)
        refusal = attempted(
            lambda: post_many_by_hand([made], [reference], [1, 1], (ada, -5), (bo, 5))
        )

    assert refusal == "HL012"


@pytest.mark.parametrize("places", [[], [1, 1], [2, 2], [1, 1, 3, 3]])
def test_no_posting_of_a_batch_is_without_entries(places: list[int]) -> None:
    both = [(ISSUANCE, -1), (FEES, 1), (ISSUANCE, -1), (AccountId(a_wallet()), 1)]

    refusal = attempted(
        lambda: post_many_by_hand(
            [uuid4(), uuid4()], [unique("a"), unique("b")], places, *both[: len(places)]
        )
    )

    assert refusal == "HL015"


@pytest.mark.parametrize(
    ("accounts", "amounts"),
    [("{}", "{}"), (None, None), ("{1,2}", "{-1,1}"), ("{1,2,1,2}", "{-1,1}"), ("{1,2}", None)],
)
def test_every_leg_of_a_batch_has_an_account_and_an_amount(
    accounts: str | None, amounts: str | None
) -> None:
    refusal = refusal_of(
        "SELECT credits_post_many(ARRAY[gen_random_uuid(), gen_random_uuid()], %s::text[], '{k,k}',"
        " ARRAY[sha256(''), sha256('')], '{\"\",\"\"}', '{\"\",\"\"}', '{1,1,2,2}', %s::bigint[],"
        " %s::bigint[])",
        [[unique("a"), unique("b")], accounts, amounts],
    )

    assert refusal is not None
    assert refusal.sqlstate == "HL015"


def test_arrays_that_do_not_count_from_one_make_no_posting_without_entries() -> None:
    sql = (
        "SELECT credits_post_many({ids}, %s::text[], '{{k,k}}', ARRAY[sha256(''), sha256('')],"
        " '{{\"\",\"\"}}', '{{\"\",\"\"}}', '{{1,1,2,2}}', '{{1,2,1,2}}', '{{-1,1,-2,2}}')"
    )
    for ids in (
        "ARRAY[ARRAY[gen_random_uuid(), gen_random_uuid()]]",
        "('[0:1]={' || gen_random_uuid() || ',' || gen_random_uuid() || '}')::uuid[]",
    ):
        refusal = refusal_of(sql.format(ids=ids), [[unique("a"), unique("b")]])

        assert refusal is not None
        assert refusal.sqlstate in ("HL005", "HL015"), refusal


@pytest.mark.parametrize("first", [1, 0])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_legs_mean_the_same_in_any_order_also_by_hand(order: tuple[int, ...], first: int) -> None:
    ada, bo = a_wallet(10), a_wallet()
    both = [(ISSUANCE, -6), (FEES, 2), (ada, -3), (bo, 7)]
    made = uuid4()
    arrays = [
        f"[{first}:{first + 3}]={{{','.join(map(str, one))}}}"
        for one in legs(*(both[place] for place in order))
    ]

    with undone():
        run(
            "SELECT credits_post(%s, %s, 'k', %s, '', '', %s::bigint[], %s::bigint[])",
            [made, unique("any order"), DIGEST, *arrays],
        )

        assert [(leg.account, leg.amount) for leg in entries_of(made)] == both
        assert (balance(ada), balance(bo)) == (7, 7)


@pytest.mark.parametrize("both", [[], [(FEES, 1)]])
def test_a_posting_has_two_legs_also_by_hand(both: list[tuple[AccountId, int]]) -> None:
    accounts, amounts = legs(*both)
    sql = "SELECT credits_post(%s, %s, 'k', %s, '', '', %s::bigint[], %s::bigint[])"
    for values in ((accounts, amounts), (None, amounts), ([ISSUANCE, FEES], None)):
        refusal = refusal_of(sql, [uuid4(), unique("few"), DIGEST, *values])

        assert refusal is not None
        assert refusal.sqlstate == "HL015"


@pytest.mark.parametrize("beside", [[], [(ISSUANCE, -1), (FEES, 1)]])
def test_unknown_accounts_are_found_although_the_rest_adds_up(
    beside: list[tuple[AccountId, int]],
) -> None:
    unknown = [(AccountId(2**62), 5), (AccountId(2**62 + 1), -5)]

    assert attempted(lambda: post_by_hand(*unknown, *beside)) == "HL003"


@pytest.mark.parametrize("named", [[ISSUANCE, None], [None, FEES], [None, None]])
def test_a_leg_names_an_account_also_by_hand(named: list[AccountId | None]) -> None:
    sql = "SELECT credits_post(%s, %s, 'k', %s, '', '', %s::bigint[], %s::bigint[])"

    refusal = refusal_of(sql, [uuid4(), unique("nameless"), DIGEST, named, [-1, 1]])

    assert refusal is not None
    assert refusal.sqlstate == "HL003", refusal


def attempted(attempt: Attempt) -> str | None:
    """Return the SQLSTATE with which *attempt* is refused; None where it is not, and is done."""
    try:
        with transaction.atomic():
            attempt()
    except DatabaseError as error:
        return cause_of(error).sqlstate
    return None


class Cast:
    """What strange calls are about: accounts, works, references and ids that come again."""

    def __init__(self) -> None:
        self.accounts = [a_wallet(10), a_wallet(5), a_wallet(), a_closed_wallet(), ISSUANCE, FEES]
        self.accounts += [AccountId(2**62), None]  # type: ignore[list-item]
        self.works = [unique("task") for _ in range(2)]
        self.references = [unique("strange") for _ in range(4)]
        self.references += [f"end:{work}" for work in self.works]
        self.ids = [uuid4() for _ in range(4)]
        self.ids.append(posting(Leg(ISSUANCE, -2), Leg(self.accounts[0], 2)).id)


AMOUNTS = st.sampled_from([1, -1, 2, -2, 5, -5, 0, BILLION, -BILLION, 2**63 - 1, -(2**63), None])
DIGESTS = st.sampled_from([DIGEST, bytes([1] * 32), b"", None])
PLACES = st.integers(0, 8)
FEW = st.lists(st.tuples(PLACES, AMOUNTS), max_size=4)
# Balanced pairs, among what is drawn freely, so that many calls come through.
PAIRS = st.tuples(PLACES, PLACES, st.sampled_from([1, 2, 5])).map(
    lambda pair: [(pair[0], -pair[2]), (pair[1], pair[2])]
)


@st.composite
def strange_calls(draw: st.DrawFn) -> Callable[[Cast], tuple[str, list[object]]]:
    """Draw a call of a public function, with arguments that Python would never give it."""

    def pick(values: list[Any], place: int) -> Any:  # noqa: ANN401 - of any list
        return values[place % len(values)]

    name = draw(
        st.sampled_from(
            [
                *("post", "post_many", "reverse", "fund", "allocate", "withdraw"),
                *("fund_many", "allocate_many", "settle_many"),
                *("settle", "refund", "open", "close", "roll_up"),
            ]
        )
    )
    made, other, of, work, child, to = (draw(PLACES) for _ in range(6))
    digest = draw(DIGESTS)
    amount = draw(AMOUNTS)
    drawn = draw(FEW | PAIRS)
    places = draw(st.lists(st.integers(0, 3), max_size=4))
    floor = draw(AMOUNTS)

    def built(cast: Cast) -> tuple[str, list[object]]:
        head = [pick(cast.ids, made), pick(cast.references, of), "strange", digest, "", ""]
        on = [*head, pick(cast.works, work)]
        accounts = [pick(cast.accounts, one) for one, _ in drawn]
        amounts = [one for _, one in drawn]
        account = pick(cast.accounts, to)
        works = [pick([*cast.works, None, unique("task")], one) for one, _ in drawn]
        few = to % 3
        array = "%s::bigint[]"
        six = ", ".join(["%s"] * 6)
        batch = (
            "%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::integer[]"
        )
        ended = batch.replace("%s::integer[]", "%s::text[], %s::integer[]")
        return {
            "post": (f"credits_post({six}, {array}, {array})", [*head, accounts, amounts]),
            "post_many": (
                f"credits_post_many({batch}, {array}, {array})",
                [
                    [pick(cast.ids, made), pick(cast.ids, other)],
                    [pick(cast.references, of), pick(cast.references, work)],
                    *(["strange"] * 2, [digest] * 2, [""] * 2, [""] * 2, places, accounts, amounts),
                ],
            ),
            "reverse": (
                "credits_reverse(%s, %s, %s, %s, '')",
                [pick(cast.ids, made), pick(cast.ids, other), pick(cast.references, of), digest],
            ),
            "fund": (f"credits_fund({six}, %s, NULL, %s, %s)", [*on, account, amount]),
            "allocate": (
                f"credits_allocate({six}, %s, %s, NULL, %s)",
                [*on, pick(cast.works, child), amount],
            ),
            "fund_many": (
                f"credits_fund_many({six}, %s::text[], NULL, %s, {array})",
                [*head, works, account, amounts],
            ),
            "allocate_many": (
                f"credits_allocate_many({six}, %s, %s::text[], NULL, {array})",
                [*on, works, amounts],
            ),
            "settle_many": (
                f"credits_settle_many({ended}, {array}, {array}, %s::text[])",
                [
                    [pick(cast.ids, one) for one in (made, other)][:few],
                    [pick(cast.references, one) for one in (of, work)][:few],
                    *(["strange"] * few, [digest] * few, [""] * few, [""] * few),
                    *(works, places, accounts, amounts, [*cast.works, None][child % 4 :]),
                ],
            ),
            "withdraw": (f"credits_withdraw({six}, %s, %s, %s)", [*on, account, amount]),
            "settle": (f"credits_settle({six}, %s, {array}, {array})", [*on, accounts, amounts]),
            "refund": (f"credits_refund({six}, %s, %s)", [*on, account]),
            "open": (
                "credits_open_account(%s, NULL, %s, %s)",
                [("wallet", "escrow", "", None)[to % 4], pick(cast.works, work), floor],
            ),
            "close": ("credits_close_account(%s)", [account]),
            "roll_up": ("credits_roll_up(%s, %s, %s)", [account, amount, floor]),
        }[name]

    return built


@given(st.lists(strange_calls(), min_size=1, max_size=30))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_strange_call_breaks_the_books(
    calls: list[Callable[[Cast], tuple[str, list[object]]]],
) -> None:
    cast = Cast()
    with undone():
        done = []
        for built in calls:
            sql, values = built(cast)
            if attempted(partial(run, f"SELECT {sql}", values)) is None:
                done.append((sql, values))

        assert audit.run() == [], done


def test_paying_works_all_the_same() -> None:
    ada, bo = a_wallet(3), a_wallet()

    paid = pay(ada, bo, 2)

    assert not paid.replayed
    assert run("SELECT credits_balance_at(%s, clock_timestamp())", [bo]) == [(2,)]
