from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection, transaction

from credits import audit, escrow
from credits.audit import Finding, Invariant
from credits.ledger import FEES, AccountId, Posted, close_account, open_account, reverse
from credits.models import Fold
from credits.rollup import roll_up
from tests.credits.books import seal_everything
from tests.credits.cast import a_wallet, pay, unique

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
        (self.block,) = seal_everything()[-1:]
        roll_up()


def test_books_written_through_the_ledger_have_no_findings() -> None:
    Books()

    assert audit.run() == []


def test_the_audit_is_one_snapshot_of_its_own_and_writes_nothing(tmp_path: Path) -> None:
    invariants = tmp_path / "own.sql"
    invariants.write_text(
        "-- invariant: the_snapshot\n-- Shows how it runs.\n"
        "SELECT current_setting('transaction_isolation') AS subject,"
        " current_setting('transaction_read_only') AS wrong;\n"
    )

    assert audit.run([invariants]) == [
        Finding("the_snapshot", "Shows how it runs.", "repeatable read", "on")
    ]


def corrupted(*statements: str) -> set[str]:
    """Return what the audit finds after SQL that no trigger and no constraint stops.

    Everything is undone, so the books of the other tests stay right.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for sql in statements:
            cursor.execute(sql)
        found = {f"{finding.invariant} {finding.subject}" for finding in audit.run()}
        transaction.set_rollback(True)
    return found


CORRUPTIONS: list[tuple[str, list[str], list[str]]] = [
    (
        "an amount is raised",
        ["UPDATE credits_entry SET amount = 11 WHERE posting_id = '{paid}' AND account_id = {bo}"],
        [
            "entries_add_up_to_zero ledger",
            "postings_balance posting {paid}",
            "balances_are_what_entries_say account {bo}",
            "running_balances_follow account {bo}",
            "reversals_undo posting {reversal}",
        ],
    ),
    (
        "an entry disappears",
        ["DELETE FROM credits_entry WHERE posting_id = '{paid}' AND account_id = {bo}"],
        [
            "postings_balance posting {paid}",
            "entries_are_numbered_without_gaps account {bo}",
            "reversals_undo posting {reversal}",
        ],
    ),
    (
        "all entries of a posting disappear",
        ["DELETE FROM credits_entry WHERE posting_id = '{paid}'"],
        ["postings_balance posting {paid}", "reversals_undo posting {reversal}"],
    ),
    (
        "a posting disappears",
        ["DELETE FROM credits_posting WHERE id = '{paid}'"],
        ["entries_belong posting {paid}"],
    ),
    (
        "an account disappears",
        ["DELETE FROM credits_account WHERE id = {bo}"],
        ["entries_belong posting {paid}", "supply_is_what_was_issued supply"],
    ),
    (
        "a balance is raised",
        ["UPDATE credits_account SET balance = balance + 1 WHERE id = {bo}"],
        ["balances_are_what_entries_say account {bo}", "supply_is_what_was_issued supply"],
    ),
    (
        "a number is skipped",
        ["UPDATE credits_account SET seq = seq + 1 WHERE id = {bo}"],
        ["entries_are_numbered_without_gaps account {bo}"],
    ),
    (
        "a running balance is rewritten",
        [
            """UPDATE credits_entry SET balance_after = 9
                WHERE posting_id = '{paid}' AND account_id = {bo}"""
        ],
        ["running_balances_follow account {bo}"],
    ),
    (
        "an entry is dated back",
        [
            """UPDATE credits_entry SET created_at = '2001-01-01'
                WHERE posting_id = '{reversal}' AND account_id = {bo}"""
        ],
        ["times_follow account {bo}"],
    ),
    (
        "a floor is raised over what was held",
        [
            "ALTER TABLE credits_account DROP CONSTRAINT credits_account_floor",
            "UPDATE credits_account SET floor = 0 WHERE id = {overdrawn}",
        ],
        ["nobody_is_below_their_floor account {overdrawn}"],
    ),
    (
        "a derived entry is numbered",
        [
            """UPDATE credits_entry SET seq = 1, balance_after = 1
                WHERE posting_id = '{fee}' AND account_id = 2"""
        ],
        ["derived_accounts_store_nothing account 2"],
    ),
    (
        "a closed account is credited by hand",
        [
            """UPDATE credits_entry SET account_id = {closed}, created_at = now() + interval '1 day'
                WHERE posting_id = '{fee}' AND account_id = 2""",
        ],
        [
            "closed_accounts_are_empty account {closed}",
            "balances_are_what_entries_say account {closed}",
        ],
    ),
    (
        "a reference is used again",
        [
            "ALTER TABLE credits_posting DROP CONSTRAINT credits_posting_reference_is_unique",
            """UPDATE credits_posting SET reference = (
                SELECT reference FROM credits_posting WHERE id = '{paid}') WHERE id = '{fee}'""",
        ],
        ["references_are_unique posting {first_of_both}"],
    ),
    (
        "a second wallet is opened",
        [
            "DROP INDEX credits_account_one_open",
            """INSERT INTO credits_account (kind, owner)
                SELECT kind, owner FROM credits_account WHERE id = {bo}""",
        ],
        ["one_escrow_per_work account {bo}"],
    ),
    (
        "a reversal names another posting",
        ["UPDATE credits_posting SET reverses = '{fee}' WHERE id = '{reversal}'"],
        ["reversals_undo posting {reversal}"],
    ),
    (
        "an entry is moved to another transaction",
        [
            """UPDATE credits_entry SET xid = (xid::text::bigint + 1)::text::xid8
                WHERE posting_id = '{fee}' AND account_id = 2"""
        ],
        ["entries_stand_with_their_posting posting {fee}"],
    ),
    *(
        (
            f"a fold has another {change}",
            ["UPDATE credits_fold SET " + change + " WHERE account_id = 2 AND number = {fold}"],  # noqa: S608 - the columns below
            ["folds_are_what_entries_say account 2"],
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
    (
        "an entry that was folded disappears",
        ["DELETE FROM credits_entry WHERE posting_id = '{fee}' AND account_id = 2"],
        ["folds_are_what_entries_say account 2", "seals_leave_no_entry_out seal {block}"],
    ),
    (
        "an entry appears among those that were folded and sealed",
        [
            """INSERT INTO credits_entry (posting_id, account_id, amount, epoch, xid)
                SELECT posting_id, 2, 1, epoch, xid FROM credits_entry
                WHERE posting_id = '{paid}' AND account_id = {bo}"""
        ],
        ["folds_are_what_entries_say account 2", "seals_leave_no_entry_out seal {block}"],
    ),
    *(
        (
            f"a block has another {change}",
            ["UPDATE credits_seal SET " + change + " WHERE number = {block}"],  # noqa: S608 - the columns below
            ["seals_follow_one_another seal {block}"],
        )
        for change in (
            "previous = sha256(previous)",
            "root = sha256(root)",
            "hash = sha256(hash)",
            "entries = entries + 1",
            "sealed_at = sealed_at + interval '1 microsecond'",
        )
    ),
    (
        "a block ends earlier than its entries",
        ["UPDATE credits_seal SET upto_xid = '1' WHERE number = {block}"],
        ["seals_leave_no_entry_out seal {block}"],
    ),
    (
        "a number is left out between blocks",
        ["UPDATE credits_seal SET number = number + 1 WHERE number = {block}"],
        ["seals_follow_one_another seal {block_after}"],
    ),
]


@pytest.mark.parametrize(
    ("statements", "expected"),
    [corruption[1:] for corruption in CORRUPTIONS],
    ids=[corruption[0] for corruption in CORRUPTIONS],
)
def test_a_row_corrupted_by_hand_is_found(statements: list[str], expected: list[str]) -> None:
    books = Books()
    facts = {
        "ada": books.ada,
        "bo": books.bo,
        "closed": books.closed,
        "overdrawn": an_overdrawn_account(),
        "paid": books.paid.id,
        "fee": books.fee.id,
        "reversal": books.reversal.id,
        "first_of_both": min(str(books.paid.id), str(books.fee.id)),
        "fold": Fold.objects.filter(account_id=FEES).order_by("-number")[0].number,
        "block": books.block.number,
        "block_after": books.block.number + 1,
    }

    found = corrupted(*(sql.format(**facts) for sql in statements))

    assert {subject.format(**facts) for subject in expected} <= found
    assert audit.run() == []


def an_overdrawn_account() -> AccountId:

    with transaction.atomic():
        account = open_account(kind="wallet", owner=uuid4(), floor=-5)
        pay(account, FEES, 5)
    return account


def test_every_invariant_has_a_corruption_that_it_finds() -> None:
    tried = {finding.split()[0] for _, _, expected in CORRUPTIONS for finding in expected}

    assert tried == {invariant.name for invariant in audit.read(audit.INVARIANTS)}


def test_every_invariant_says_in_a_sentence_what_is_true() -> None:
    for invariant in audit.read(audit.INVARIANTS):
        assert invariant.sentence.endswith(".")
        assert invariant.query.upper().startswith("SELECT")


def test_the_audit_reports_its_progress_and_runs_files_of_others(tmp_path: Path) -> None:
    own = tmp_path / "market.sql"
    own.write_text(
        "-- Of the market.\n\n-- invariant: nothing_is_wrong\n-- Nothing is\n-- ever wrong.\n"
        "SELECT 'x' AS subject, 'y' AS wrong WHERE false;\n"
        "-- invariant: ninety_percent\n-- Not 90 % is wrong.\n"
        "SELECT 'task 7' AS subject, 'is 90 % wrong' AS wrong\n"
    )
    seen: list[tuple[str, int, int]] = []

    def progress(invariant: Invariant, done: int, total: int) -> None:
        seen.append((invariant.name, done, total))

    found = audit.run([audit.INVARIANTS, own], progress)

    assert found == [Finding("ninety_percent", "Not 90 % is wrong.", "task 7", "is 90 % wrong")]
    assert [done for _, done, _ in seen] == list(range(len(seen)))
    assert seen[-1] == ("ninety_percent", len(seen) - 1, len(seen))


def test_a_file_that_breaks_everywhere_gives_a_bounded_number_of_findings(tmp_path: Path) -> None:
    own = tmp_path / "many.sql"
    own.write_text(
        "-- invariant: many\n-- Many.\n"
        "SELECT n::text AS subject, '' AS wrong FROM generate_series(1, 1000) AS n;\n"
    )

    assert len(audit.run([own])) == audit.MAX_FINDINGS


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
