"""The audit: silent while the books are right, and naming whatever row somebody corrupts."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from credits import audit, escrow, seals, switch
from credits.audit import Finding, Invariant, Mark, Walk
from credits.ledger import FEES, AccountId, Posted, close_account, open_account, reverse
from credits.models import Account, Fold, SealedBlock
from credits.rollup import roll_up
from tests.credits.books import seal_everything
from tests.credits.cast import a_wallet, give, pay, unique
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db")


class Books:
    """Some postings of every sort, and the rows that a corruption picks from them."""

    def __init__(self) -> None:
        self.ada: AccountId = a_wallet(100)
        self.bo: AccountId = a_wallet()
        self.paid: Posted = pay(self.ada, self.bo, 10)
        self.fee: Posted = pay(self.ada, FEES, 1)
        self.closed: AccountId = a_wallet()
        work = unique("task")
        with transaction.atomic():
            self.reversal: Posted = reverse(self.paid.id, reference=unique("reversal"))
            escrow.fund(work=work, owner=None, source=self.ada, amount=50, reference=unique("fund"))
            escrow.settle(work=work, parts={self.bo: 45, FEES: 5})
            close_account(self.closed)
            self.overdrawn = open_account(kind="wallet", owner=uuid4(), floor=-5)
            pay(self.overdrawn, FEES, 5)
        with transaction.atomic():
            switch.stop_writing(reason="For its history.", actor="ada")
            switch.resume_writing(reason="For its history.", actor="ada")
        (self.block,) = seal_everything()[-1:]
        roll_up()

    @property
    def facts(self) -> dict[str, object]:
        folds = Fold.objects.filter(account_id=FEES).order_by("-number")
        (turn,) = switch.history(limit=1)
        return {
            "ada": self.ada,
            "bo": self.bo,
            "closed": self.closed,
            "overdrawn": self.overdrawn,
            "paid": self.paid.id,
            "fee": self.fee.id,
            "reversal": self.reversal.id,
            "first_of_both": min(str(self.paid.id), str(self.fee.id)),
            "fold": folds[0].number,
            "block": self.block.number,
            "block_after": self.block.number + 1,
            "turn": turn.number,
        }


def test_books_written_through_the_ledger_have_no_findings() -> None:
    mark = audit.examine().mark
    Books()

    assert audit.run() == []
    assert audit.examine(since=mark).findings == []


def test_the_audit_is_one_snapshot_of_its_own_and_writes_nothing(tmp_path: Path) -> None:
    invariants = tmp_path / "own.sql"
    invariants.write_text(
        "-- invariant: the_snapshot\n-- Shows how it runs.\n"
        "SELECT current_setting('transaction_isolation') AS subject,"
        " current_setting('transaction_read_only') AS wrong;\n"
    )

    assert audit.run([invariants]) == [
        Finding("the_snapshot", "Shows how it runs.", "repeatable read", "on", is_of_money=False)
    ]


def test_the_audit_leaves_a_callers_transaction_as_it_was() -> None:
    with transaction.atomic():
        assert audit.run() == []
        wallet = a_wallet(3)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('enable_seqscan'), current_setting('jit')")
            assert cursor.fetchone()[0] == "on"

    assert Account.objects.get(pk=wallet).balance == 3


# --- Corruptions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corruption:
    """Rows changed by hand, and what an audit says to it.

    Attributes:
        statements: SQL that no trigger and no constraint stops.
        found: Every audit finds this, also one of what is new.
        found_in_full: A full audit finds this besides.
    """

    name: str
    statements: tuple[str, ...]
    found: tuple[str, ...] = ()
    found_in_full: tuple[str, ...] = ()


A_RAISED_AMOUNT = (
    "UPDATE credits_entry SET amount = 11 WHERE posting_id = '{paid}' AND account_id = {bo}"
)

CORRUPTIONS = [
    Corruption(
        "an amount is raised",
        (A_RAISED_AMOUNT,),
        (
            "postings_balance posting {paid}",
            "entries_follow_one_another account {bo}",
            "reversals_undo posting {reversal}",
        ),
        ("entries_add_up_to_zero ledger",),
    ),
    Corruption(
        "an entry disappears",
        ("DELETE FROM credits_entry WHERE posting_id = '{paid}' AND account_id = {bo}",),
        (
            "postings_balance posting {paid}",
            "entries_follow_one_another account {bo}",
            "reversals_undo posting {reversal}",
        ),
        ("entries_add_up_to_zero ledger",),
    ),
    Corruption(
        "all entries of a posting disappear",
        ("DELETE FROM credits_entry WHERE posting_id = '{paid}'",),
        (
            "postings_balance posting {paid}",
            "entries_follow_one_another account {bo}",
            "reversals_undo posting {reversal}",
        ),
    ),
    Corruption(
        "an entry moves to another account",
        (
            """UPDATE credits_entry SET account_id = {closed}
                WHERE posting_id = '{paid}' AND account_id = {bo}""",
        ),
        (
            "entries_follow_one_another account {bo}",
            "accounts_stand_where_their_entries_end account {closed}",
        ),
    ),
    Corruption(
        "an entry moves to another posting",
        (
            """UPDATE credits_entry SET posting_id = '{fee}'
                WHERE posting_id = '{paid}' AND account_id = {bo}""",
        ),
        ("postings_balance posting {paid}", "postings_balance posting {fee}"),
    ),
    Corruption(
        "a posting disappears",
        ("DELETE FROM credits_posting WHERE id = '{paid}'",),
        ("entries_belong posting {paid}",),
    ),
    Corruption(
        "a posting gets another id",
        (
            """UPDATE credits_posting SET id = '00000000-0000-0000-0000-000000000000'
                WHERE id = '{paid}'""",
        ),
        (
            "entries_belong posting {paid}",
            "postings_balance posting 00000000-0000-0000-0000-000000000000",
        ),
    ),
    Corruption(
        "a posting moves to another transaction",
        ("UPDATE credits_posting SET xid = '1' WHERE id = '{paid}'",),
        ("entries_belong posting {paid}",),
    ),
    Corruption(
        "a posting that nobody made appears",
        (
            """INSERT INTO credits_posting (id, kind, reference, digest, epoch)
                SELECT '00000000-0000-0000-0000-000000000000', kind, 'forged', digest, epoch
                FROM credits_posting WHERE id = '{paid}'""",
        ),
        ("postings_balance posting 00000000-0000-0000-0000-000000000000",),
    ),
    Corruption(
        "an account disappears",
        ("DELETE FROM credits_account WHERE id = {bo}",),
        ("entries_belong posting {paid}", "supply_is_what_was_issued supply"),
    ),
    *(
        Corruption(
            f"an account has another {change}",
            ("UPDATE credits_account SET " + change + " WHERE id = {bo}",),  # noqa: S608 - the columns below
            ("accounts_stand_where_their_entries_end account {bo}",),
        )
        for change in (
            "balance = balance + 1",
            "seq = seq + 1",
            "posted_at = posted_at + interval '1 microsecond'",
            "posted_at = NULL",
            "floor = NULL",
            "mode = 'derived'",
        )
    ),
    Corruption(
        "a balance is raised",
        ("UPDATE credits_account SET balance = balance + 1 WHERE id = {bo}",),
        ("supply_is_what_was_issued supply",),
    ),
    Corruption(
        "an account is said to be derived",
        (
            """UPDATE credits_account SET mode = 'derived', balance = 0, seq = 0, floor = NULL
                WHERE id = {bo}""",
        ),
        (
            "accounts_stand_where_their_entries_end account {bo}",
            "entries_belong posting {paid}",
        ),
    ),
    *(
        Corruption(
            f"an entry has another {change}",
            (
                "UPDATE credits_entry SET "  # noqa: S608 - the columns below
                + change
                + " WHERE posting_id = '{paid}' AND account_id = {bo}",
            ),
            ("entries_follow_one_another account {bo}",),
        )
        for change in (
            "balance_after = 9",
            "seq = 9",
            "created_at = created_at + interval '1 day'",
        )
    ),
    Corruption(
        "an entry is dated back",
        (
            """UPDATE credits_entry SET created_at = '2001-01-01'
                WHERE posting_id = '{reversal}' AND account_id = {bo}""",
        ),
        ("entries_follow_one_another account {bo}",),
    ),
    Corruption(
        "the newest entry of an account disappears",
        ("""DELETE FROM credits_entry WHERE account_id = {overdrawn}""",),
        ("accounts_stand_where_their_entries_end account {overdrawn}",),
    ),
    Corruption(
        "a floor is raised over what is held",
        (
            "ALTER TABLE credits_account DROP CONSTRAINT credits_account_floor",
            "UPDATE credits_account SET floor = 0 WHERE id = {overdrawn}",
        ),
        ("nobody_is_below_their_floor account {overdrawn}",),
    ),
    Corruption(
        "a derived entry is numbered",
        (
            """UPDATE credits_entry SET seq = 1, balance_after = 1
                WHERE posting_id = '{fee}' AND account_id = 2""",
        ),
        (
            "entries_belong posting {fee}",
            "accounts_stand_where_their_entries_end account 2",
        ),
    ),
    Corruption(
        "a closed account is credited by hand",
        (
            """UPDATE credits_entry SET account_id = {closed}, created_at = now() + interval '1 day'
                WHERE posting_id = '{fee}' AND account_id = 2""",
        ),
        ("entries_belong posting {fee}",),
    ),
    Corruption(
        "a closed account has an entry from after it was closed",
        ("UPDATE credits_account SET posted_at = now() + interval '1 day' WHERE id = {closed}",),
        ("closed_accounts_are_empty account {closed}",),
    ),
    Corruption(
        "a reference is used again",
        (
            "ALTER TABLE credits_posting DROP CONSTRAINT credits_posting_reference_is_unique",
            """UPDATE credits_posting SET reference = (
                SELECT reference FROM credits_posting WHERE id = '{paid}') WHERE id = '{fee}'""",
        ),
        found_in_full=("references_are_unique posting {first_of_both}",),
    ),
    Corruption(
        "a second wallet is opened",
        (
            "DROP INDEX credits_account_one_open",
            """INSERT INTO credits_account (kind, owner)
                SELECT kind, owner FROM credits_account WHERE id = {bo}""",
        ),
        found_in_full=("one_escrow_per_work account {bo}",),
    ),
    Corruption(
        "a reversal names another posting",
        ("UPDATE credits_posting SET reverses = '{fee}' WHERE id = '{reversal}'",),
        ("reversals_undo posting {reversal}",),
    ),
    Corruption(
        "a reversal is said to be none",
        ("UPDATE credits_posting SET kind = 'transfer' WHERE id = '{reversal}'",),
        ("reversals_undo posting {reversal}",),
    ),
    Corruption(
        "an entry is moved to another transaction",
        (
            """UPDATE credits_entry SET xid = (xid::text::bigint + 1)::text::xid8
                WHERE posting_id = '{fee}' AND account_id = 2""",
        ),
        ("entries_belong posting {fee}",),
    ),
    *(
        Corruption(
            f"a fold has another {change}",
            ("UPDATE credits_fold SET " + change + " WHERE account_id = 2 AND number = {fold}",),  # noqa: S608 - the columns below
            ("folds_are_what_entries_say account 2",),
        )
        for change in (
            "balance = balance + 1",
            "entries = entries + 1",
            "number = number + 1",
            "upto_xid = (upto_xid::text::bigint - 1)::text::xid8",
            "oldest_at = oldest_at - interval '1 microsecond'",
            "newest_at = newest_at + interval '1 microsecond'",
        )
    ),
    Corruption(
        "an entry that was folded disappears",
        ("DELETE FROM credits_entry WHERE posting_id = '{fee}' AND account_id = 2",),
        ("folds_are_what_entries_say account 2", "seals_leave_no_entry_out seal {block}"),
    ),
    Corruption(
        "an entry appears among those that were folded and sealed",
        (
            """INSERT INTO credits_entry (posting_id, account_id, amount, epoch, xid)
                SELECT posting_id, 2, 1, epoch, xid FROM credits_entry
                WHERE posting_id = '{paid}' AND account_id = {bo}""",
        ),
        ("folds_are_what_entries_say account 2", "seals_leave_no_entry_out seal {block}"),
    ),
    *(
        Corruption(
            f"a block has another {change}",
            ("UPDATE credits_seal SET " + change + " WHERE number = {block}",),  # noqa: S608 - the columns below
            ("seals_follow_one_another seal {block}",),
        )
        for change in (
            "previous = sha256(previous)",
            "root = sha256(root)",
            "hash = sha256(hash)",
            "entries = entries + 1",
            "sealed_at = sealed_at + interval '1 microsecond'",
        )
    ),
    Corruption(
        "a block ends earlier than its entries",
        ("UPDATE credits_seal SET upto_xid = '1' WHERE number = {block}",),
        ("seals_leave_no_entry_out seal {block}",),
    ),
    Corruption(
        "a number is left out between blocks",
        ("UPDATE credits_seal SET number = number + 1 WHERE number = {block}",),
        ("seals_follow_one_another seal {block_after}",),
    ),
    *(
        Corruption(
            f"a turn of the switch has another {change}",
            ("UPDATE credits_switch SET " + change + " WHERE number = {turn}",),  # noqa: S608 - the columns below
            ("the_switch_stands_as_it_was_turned turn {turn}",),
        )
        for change in ("stops = NOT stops", "turned_at = '2001-01-01'")
    ),
    *(
        Corruption(
            f"the switch's trigger of {table} is thrown by hand",
            (f"ALTER TABLE {table} ENABLE TRIGGER credits_money_is_read_only",),
            (f"the_switch_stands_as_it_was_turned table {table}",),
        )
        for table in (
            *("credits_posting", "credits_entry", "credits_account"),
            *("credits_fold", "credits_seal"),
        )
    ),
    Corruption(
        "the switch cannot stop postings any more",
        ("DROP TRIGGER credits_money_is_read_only ON credits_posting",),
        ("the_switch_stands_as_it_was_turned table credits_posting",),
    ),
]


def corrupted(
    statements: tuple[str, ...], since: Mark, facts: dict[str, object]
) -> tuple[set[str], set[str]]:
    """Return what an audit of what is new, and a full one, find after SQL that nothing stops.

    Everything is undone, so the books of the other tests stay right.
    """
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for sql in statements:
            cursor.execute(sql.format(**facts))
        found = (named(audit.examine(since=since).findings), named(audit.run()))
        transaction.set_rollback(True)
    return found


def named(findings: list[Finding]) -> set[str]:
    return {f"{finding.invariant} {finding.subject}" for finding in findings}


@cache
def a_mark() -> Mark:
    """Return a mark that all corruptions are looked for from: they share this module's database."""
    return audit.examine().mark


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_a_row_corrupted_by_hand_is_found(corruption: Corruption) -> None:
    mark = a_mark()
    facts = Books().facts

    found, found_in_full = corrupted(corruption.statements, mark, facts)

    expected = {subject.format(**facts) for subject in corruption.found}
    assert expected <= found
    assert expected | {one.format(**facts) for one in corruption.found_in_full} <= found_in_full


# One value, changed by hand, of each type that the ledger's columns have.
ANOTHER = {
    "bigint": "{} + 100000007",  # an id that no account has
    "integer": "{} + 1",
    "boolean": "NOT {}",
    "text": "{} || 'x'",
    "uuid": "gen_random_uuid()",
    "bytea": "sha256({})",
    "xid8": "({}::text::bigint + 1)::text::xid8",
    "timestamp with time zone": "coalesce({}, now()) - interval '1 day'",
}
# What neither an invariant nor a block would miss, and why that does no harm to the books.
UNNOTICED = {
    "credits_account.kind": "the market knows which account is whose, and its invariants say so",
    "credits_account.owner": "the same",
    "credits_account.reference": "the same",
    "credits_account.opened_at": "nothing is decided by it",
    "credits_account.room": "it is room and nothing else",
    "credits_posting.digest": "tells a repeated request from another; exports have it",
    "credits_fold.folded_at": "nothing is decided by it",
    "credits_switch.reason": "words for staff",
    "credits_switch.actor": "words for staff",
}
# A fold that claims to reach further is wrong from the first entry on that comes to lie there.
NOTICED_LATER = {"credits_fold.upto_epoch", "credits_fold.upto_xid"}


def test_whatever_value_somebody_changes_an_audit_of_what_is_new_finds_it() -> None:
    mark = audit.examine().mark
    facts = Books().facts
    rows = {
        "credits_posting": "id = '{paid}'",
        "credits_entry": "posting_id = '{paid}' AND account_id = {bo}",
        "credits_account": "id = {bo}",
        "credits_fold": "account_id = 2 AND number = {fold}",
        "credits_seal": "number = {block}",
        "credits_switch": "number = {turn}",
    }
    unnoticed = set()

    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_name = ANY (%s) ORDER BY 1, ordinal_position",
            [list(rows)],
        )
        columns = cursor.fetchall()
        for table, column, kind in columns:
            # A constraint that refuses it, even from the owner, is noticed soon enough.
            with suppress(IntegrityError), transaction.atomic():
                cursor.execute(
                    f"UPDATE {table} SET {column} = {ANOTHER[kind].format(column)}"  # noqa: S608 - above
                    f" WHERE {rows[table].format(**facts)}"
                )
                assert cursor.rowcount == 1
                found = audit.examine(since=mark).findings or seals.check(first=mark.seal + 1)
                if not found:
                    unnoticed.add(f"{table}.{column}")
                transaction.set_rollback(True)
        transaction.set_rollback(True)

    assert {table for table, _, _ in columns} == set(rows)
    assert unnoticed - NOTICED_LATER == set(UNNOTICED)


def test_every_invariant_has_a_corruption_that_it_finds() -> None:
    tried = {
        finding.split()[0]
        for corruption in CORRUPTIONS
        for finding in (*corruption.found, *corruption.found_in_full)
    }

    assert tried == {invariant.name for invariant in audit.read(audit.INVARIANTS)}


def test_every_invariant_of_the_ledger_is_of_money_and_says_in_a_sentence_what_is_true() -> None:
    for invariant in audit.read(audit.INVARIANTS):
        assert invariant.is_of_money
        assert invariant.sentence.endswith(".")
        assert ". " not in invariant.sentence
        assert invariant.query.upper().startswith("SELECT")
        assert invariant.walk is None or not invariant.only_in_full


# --- What is new ----------------------------------------------------------------------------------


def test_an_audit_of_what_is_new_compares_every_account_however_old() -> None:
    books = Books()
    seal_everything()
    mark = audit.examine().mark

    found, _ = corrupted(
        ("UPDATE credits_account SET balance = balance + 1 WHERE id = {bo}",), mark, books.facts
    )

    assert found == {
        f"accounts_stand_where_their_entries_end account {books.bo}",
        "supply_is_what_was_issued supply",
    }


def test_what_stood_below_the_mark_only_a_full_audit_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    books = Books()
    mark = audit.examine().mark
    monkeypatch.setattr(audit, "SLACK", mark.at - mark.at)

    found, found_in_full = corrupted((A_RAISED_AMOUNT,), mark, books.facts)

    assert found == set()
    assert f"postings_balance posting {books.paid.id}" in found_in_full


def test_a_posting_that_commits_after_the_mark_is_new_however_old_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada, bo = a_wallet(10), a_wallet()
    with transaction.atomic():
        paid = pay(ada, bo, 3)
        with connection.cursor() as cursor:
            cursor.execute("SELECT xid::text FROM credits_posting WHERE id = %s", [paid.id])
            (xid,) = cursor.fetchone()
    # As an audit would have left it that ran while this was not committed.
    mark = replace(audit.examine().mark, xid=xid)
    monkeypatch.setattr(audit, "SLACK", mark.at - mark.at)

    found, _ = corrupted((A_RAISED_AMOUNT,), mark, {"paid": paid.id, "bo": bo})

    assert f"postings_balance posting {paid.id}" in found


def test_the_mark_is_the_horizon_and_the_newest_block() -> None:
    give(a_wallet(), 1)
    (block,) = seal_everything()[-1:]

    mark = audit.examine().mark

    assert (mark.seal, mark.seal_hash) == (block.number, block.hash)
    assert audit.kept(mark) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch, xid::text::bigint >= %s FROM credits_horizon()", [mark.xid])
        assert cursor.fetchone() == (mark.epoch, True)


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("DELETE FROM credits_seal WHERE number = {number}", "is gone"),
        ("UPDATE credits_seal SET hash = root WHERE number = {number}", "has another hash"),
    ],
)
def test_a_block_that_was_seen_is_missed_when_the_chain_is_cut_or_made_anew(
    statement: str, wrong: str
) -> None:
    give(a_wallet(), 1)
    seal_everything()
    mark = audit.examine().mark

    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement.format(number=mark.seal))
        (found,) = audit.kept(mark)
        transaction.set_rollback(True)

    assert (found.invariant, found.subject) == ("audited_blocks_stay", f"seal {mark.seal}")
    assert found.wrong.startswith(wrong)


def test_there_is_no_block_to_miss_where_none_was_seen() -> None:
    mark = replace(audit.examine().mark, seal=0, seal_hash="")

    assert audit.kept(mark) == []
    assert audit.examine(since=mark).findings == []


def test_blocks_before_the_mark_are_taken_as_right() -> None:
    Books()
    mark = audit.examine().mark
    give(a_wallet(), 1)
    seal_everything()

    told: list[tuple[int, int]] = []
    findings = seals.check(
        first=mark.seal + 1, progress=lambda done, total: told.append((done, total))
    )

    assert findings == []
    assert len(told) == len(seals.list_seals(after=mark.seal, limit=1000))


# --- Files of invariants --------------------------------------------------------------------------


def test_a_walk_covers_every_row_whatever_the_size_of_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        Books()
        seal_everything()
    own = tmp_path / "own.sql"
    walks = ["number by 1", "number by 2", "number by 7", "sealed_at by 3"]
    own.write_text(
        "".join(
            f"-- invariant: {walk.replace(' ', '_')}\n-- Finds every row.\n"
            f"-- walk: credits_seal.{walk}\n"
            "SELECT number::text AS subject, '' AS wrong FROM credits_seal"
            f" WHERE in_chunk({walk.split()[0]}) AND sealed_at >= since();\n"
            for walk in walks
        )
    )
    monkeypatch.setattr(audit, "MAX_FINDINGS", 1_000_000)

    found = audit.run([own])

    every = sorted(str(one.number) for one in SealedBlock.objects.all())
    for name in (walk.replace(" ", "_") for walk in walks):
        assert sorted(one.subject for one in found if one.invariant == name) == every


def test_the_audit_reports_its_progress_and_runs_files_of_others(tmp_path: Path) -> None:
    own = tmp_path / "market.sql"
    own.write_text(
        "-- Of the market.\n\n-- money invariant: nothing_is_wrong\n-- Nothing is\n-- ever wrong.\n"
        "SELECT 'x' AS subject, 'y' AS wrong WHERE false;\n"
        "-- invariant: ninety_percent\n-- Not 90 % is wrong.\n-- only in a full audit\n"
        "SELECT 'task 7' AS subject, 'is 90 % wrong' AS wrong\n"
    )
    told: list[tuple[str, int, int]] = []

    report = audit.examine(
        [audit.INVARIANTS, own],
        progress=lambda what, done, total: told.append((what, done, total)),
    )

    assert report.findings == [
        Finding(
            "ninety_percent", "Not 90 % is wrong.", "task 7", "is 90 % wrong", is_of_money=False
        )
    ]
    assert audit.examine([own], since=report.mark).findings == []
    names = [one.name for path in (audit.INVARIANTS, own) for one in audit.read(path)]
    assert set(names) == {what for what, _, _ in told}
    progress = [done for _, done, _ in told]
    assert progress == sorted(progress)
    assert {total for _, _, total in told} == {told[-1][2]}
    assert progress[-1] == told[-1][2] - 1


def test_a_file_says_how_each_invariant_is_run(tmp_path: Path) -> None:
    own = tmp_path / "own.sql"
    own.write_text(
        "-- money invariant: a\n-- A is.\n-- walk: credits_account.id by 5\nSELECT 1;\n"
        "-- invariant: b\n-- B is,\n-- too.\n-- only in a full audit\nSELECT 2;\n"
    )

    assert audit.read(own) == [
        Invariant(
            "a", "A is.", "SELECT 1", is_of_money=True, walk=Walk("credits_account", "id", 5)
        ),
        Invariant("b", "B is, too.", "SELECT 2", only_in_full=True),
    ]


def test_a_file_that_breaks_everywhere_gives_a_bounded_number_of_findings(tmp_path: Path) -> None:
    own = tmp_path / "many.sql"
    own.write_text(
        "-- invariant: many\n-- Many.\n"
        "SELECT n::text AS subject, '' AS wrong FROM generate_series(1, 1000) AS n;\n"
        "-- invariant: many_chunks\n-- Many.\n-- walk: credits_account.id by 1\n"
        "SELECT id::text AS subject, '' AS wrong FROM credits_account, generate_series(1, 99);\n"
    )

    assert len(audit.run([own])) == 2 * audit.MAX_FINDINGS


@pytest.mark.parametrize(
    ("text", "message"),
    [("SELECT 1;\n", "no invariants"), ("-- invariant: a\n-- A.\n\n", "no query")],
)
def test_a_file_that_is_no_list_of_invariants_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    own = tmp_path / "bad.sql"
    own.write_text(text)

    with pytest.raises(ValueError, match=message):
        audit.run([own])


def test_two_invariants_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="same name"):
        audit.run([audit.INVARIANTS, audit.INVARIANTS])
