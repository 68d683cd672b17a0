"""Blocks of sealed entries: complete, chained, and broken by whatever is changed afterwards."""

import json
import threading
from uuid import uuid4

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits import audit, escrow, seals, verifier
from credits.errors import NotSealedYet, SealBroken, UnknownEntry
from credits.ledger import FEES, ISSUANCE, AccountId, Leg, NewPosting, Posted, post_many, reverse
from credits.models import Entry, SealedBlock
from credits.seals import Proof, Seal, list_seals, proof, seal
from credits.verifier import check_proof
from tests.credits.books import seal_everything
from tests.credits.cast import (
    a_wallet,
    give,
    pay,
    posting,
    run_together,
    unique,
    wait_until_settled,
)
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("db")


def newest_seal() -> Seal | None:
    number = SealedBlock.objects.order_by("-number").values_list("number", flat=True).first()
    return list_seals(after=number - 1, limit=1)[0] if number else None


def proofs_of(made: Posted) -> list[Proof]:
    accounts = Entry.objects.filter(posting_id=made.id).values_list("account_id", flat=True)
    return [proof(made.id, AccountId(account)) for account in sorted(accounts)]


def test_everything_that_is_settled_is_sealed_into_blocks_that_follow_one_another() -> None:
    seal_everything()
    before = newest_seal()
    ada, bo = a_wallet(100), a_wallet()
    pay(ada, bo, 10)

    (made,) = seal_everything()

    assert made.entries == 4
    if before is not None:
        assert (made.number, made.previous) == (before.number + 1, before.hash)
        assert made.sealed_at >= before.sealed_at
    assert seal() is None
    assert seals.check() == []
    assert audit.run() == []


def test_blocks_have_a_bounded_size_and_end_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    seal_everything()
    monkeypatch.setattr(seals, "MAX_BLOCK_ENTRIES", 3)
    ada = a_wallet(100)
    paid = [pay(ada, FEES, 1) for _ in range(3)]

    made = seal_everything()

    assert [block.entries for block in made] == [3, 3, 2]
    for one in paid:
        for found in proofs_of(one):
            assert found.seal in made
            assert check_proof(found.as_json(), {found.seal.number: found.seal.hash}) == []
    assert seals.check() == []
    assert audit.run() == []


def test_what_commits_late_is_sealed_in_its_place_and_nothing_before_it() -> None:
    ada, bo = a_wallet(10), a_wallet(10)
    seal_everything()
    posted, may_commit = threading.Event(), threading.Event()

    def commit_late() -> Posted:
        made = pay(ada, FEES, 1)
        posted.set()
        may_commit.wait(timeout=20)
        return made

    late: list[object] = []
    thread = threading.Thread(target=lambda: late.extend(run_together(commit_late)))
    thread.start()
    posted.wait(timeout=20)
    early = pay(bo, FEES, 1)

    assert seal() is None
    with pytest.raises(NotSealedYet):
        proof(early.id, FEES)
    may_commit.set()
    thread.join(timeout=20)
    (block,) = seal_everything()

    (made,) = late
    assert isinstance(made, Posted)
    assert block.entries == 4
    assert [found.index for found in proofs_of(made)] == [0, 1]
    assert [found.index for found in proofs_of(early)] == [2, 3]
    assert audit.run() == []


def test_sealers_at_once_make_one_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    seal_everything()
    monkeypatch.setattr(seals, "MAX_BLOCK_ENTRIES", 2)
    ada = a_wallet(100)
    for _ in range(9):
        pay(ada, FEES, 1)
    wait_until_settled()

    def seal_often() -> list[Seal]:
        made = []
        for _ in range(10):
            # Each in a transaction of its own, as a sealer's.
            (block,) = run_together(seal)
            assert block is None or isinstance(block, Seal), block
            if block is not None:
                made.append(block)
        return made

    outcomes = run_together(*[seal_often] * 4)

    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes
    made = [block for outcome in outcomes if isinstance(outcome, list) for block in outcome]
    assert len({block.number for block in made}) == len(made) == 10
    assert sum(block.entries for block in made) == 20
    assert seals.check() == []
    assert audit.run() == []


def test_a_sealer_that_is_killed_before_it_commits_leaves_nothing() -> None:
    seal_everything()
    a_wallet(1)
    wait_until_settled()

    with transaction.atomic():
        unborn = seal()
        transaction.set_rollback(True)
    (made,) = seal_everything()

    assert unborn is not None
    assert (made.number, made.previous, made.entries) == (unborn.number, unborn.previous, 2)
    # Another salt, so another root: what was hashed before the kill vouches for nothing.
    assert made.root != unborn.root


def test_the_blocks_can_be_listed_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "MAX_BLOCK_ENTRIES", 1)
    a_wallet(1)
    made = seal_everything()[-2:]
    before = made[0].number - 1

    assert list_seals(after=before, limit=10) == made
    assert list_seals(after=before, limit=1) == made[:1]
    assert list_seals(after=before + 1, limit=1) == made[1:]
    assert list_seals(after=made[-1].number, limit=1) == []
    for limit in (0, seals.MAX_SEALS + 1):
        with pytest.raises(ValueError, match="page"):
            list_seals(limit=limit)


def test_there_is_no_proof_of_what_does_not_exist() -> None:
    made = give(ada := a_wallet(), 1)

    with pytest.raises(UnknownEntry) as stranger:
        proof(made.id, FEES)
    with pytest.raises(UnknownEntry):
        proof(uuid4(), ada)

    assert (stranger.value.posting, stranger.value.account) == (made.id, FEES)


def test_a_proof_shows_its_entry_and_keeps_the_one_beside_it_secret() -> None:
    ada, bo = a_wallet(1_000_000), a_wallet()
    made = pay(ada, bo, 10)
    seal_everything()

    found = proof(made.id, bo)

    shown = json.loads(found.leaf)
    assert (shown["account"], shown["amount"], shown["balance_after"]) == (str(bo), "10", "10")
    text = json.dumps(found.as_json())
    assert f'"{ada}"' not in text
    assert "salt" not in text
    # With the nonce of one's own entry, the hash beside it cannot be guessed by trying balances.
    (beside,) = [other for other in proofs_of(made) if other.leaf != found.leaf]
    guess = json.loads(beside.leaf) | {"nonce": shown["nonce"]}
    assert verifier.leaf_hash(beside.leaf).hex() in found.path
    assert verifier.leaf_hash(verifier.document(guess)).hex() not in found.path


# --- Random books ---------------------------------------------------------------------------------

transactions = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=4)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(transactions, st.integers(1, 12), st.sampled_from([(), "between"]))
def test_every_entry_of_random_books_has_a_proof_that_its_block_confirms(
    random_books: list[list[int]], size: int, seal_between: object
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seals, "MAX_BLOCK_ENTRIES", size)
        seal_everything()
        made: list[Posted] = []
        for together in random_books:
            made += posted_together(together)
            if seal_between:
                seal_everything()
        seal_everything()

        for one in made:
            for found in proofs_of(one):
                published = list_seals(after=found.seal.number - 1, limit=1)[0]
                trusted = {published.number: published.hash}
                assert check_proof(json.loads(json.dumps(found.as_json())), trusted) == []
                assert json.loads(found.leaf)["posting"] == str(one.id)


def posted_together(widths: list[int]) -> list[Posted]:
    """Post in one transaction; each posting pays so many wallets."""
    wallets = [a_wallet() for _ in range(max(widths))]
    with transaction.atomic():
        return post_many(
            [
                NewPosting(
                    reference=unique("wide"),
                    kind="wide",
                    legs=[
                        Leg(ISSUANCE, -width),
                        *(Leg(wallet, 1) for wallet in wallets[:width]),
                    ],
                )
                for width in widths
            ]
        )


def test_transaction_ids_are_ordered_as_numbers_not_as_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seals, "MAX_BLOCK_ENTRIES", 2)
    seal_everything()
    made = [uuid4() for _ in range(4)]

    # Four postings of a past epoch, in transactions 9, 10, 99 and 100.
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL credits.writing = 'on'")
        cursor.execute("SELECT credits_raise_epoch(), credits_raise_epoch()")
        past, _ = cursor.fetchone()
        for one, xid in zip(made, ("9", "10", "99", "100"), strict=True):
            cursor.execute(
                "INSERT INTO credits_posting (id, kind, reference, digest, epoch, xid)"
                " VALUES (%s, 'old', %s, sha256(''), %s, %s::xid8)",
                [one, unique("old"), past, xid],
            )
            cursor.execute(
                "INSERT INTO credits_entry (posting_id, account_id, amount, epoch, xid)"
                " VALUES (%s, 1, -1, %s, %s::xid8), (%s, 2, 1, %s, %s::xid8)",
                [one, past, xid, one, past, xid],
            )
        blocks = [seal() for _ in made]
        proofs = [proof(one, FEES) for one in made]
        transaction.set_rollback(True)

    assert [found.seal for found in proofs] == blocks
    assert [check_proof(found.as_json()) for found in proofs] == [[]] * 4


# --- Tampering ------------------------------------------------------------------------------------


class SealedBooks:
    """A posting and its reversal, a settlement, and their block."""

    def __init__(self) -> None:
        seal_everything()
        self.ada, self.bo = a_wallet(100), a_wallet()
        work = unique("task")
        with transaction.atomic():
            self.paid = posting(Leg(self.ada, -10), Leg(self.bo, 10), kind="pay")
            self.other = pay(self.ada, FEES, 1)
            self.reversal = reverse(self.paid.id, reference=unique("reversal"))
            escrow.fund(work=work, owner=None, source=self.ada, amount=5, reference=unique("f"))
            escrow.settle(work=work, parts={self.bo: 4, FEES: 1})
        self.blocks = seal_everything()


@pytest.mark.parametrize(
    "change",
    [
        "credits_posting SET memo = 'another'",
        "credits_posting SET subject = 'task_another'",
        "credits_posting SET kind = 'another'",
        "credits_posting SET reference = gen_random_uuid()::text",
        "credits_posting SET reverses = '{other}'",
        "credits_posting SET created_at = created_at - interval '1 microsecond'",
        "credits_posting SET xid = (xid::text::bigint + 1)::text::xid8",
        "credits_posting SET xid = '1'",
        "credits_entry SET amount = 2 * amount",
        "credits_entry SET amount = -amount",
        "credits_entry SET account_id = account_id + 1000000",
        "credits_entry SET seq = seq + 1000",
        "credits_entry SET balance_after = balance_after + 1",
        "credits_entry SET created_at = created_at - interval '1 microsecond'",
        "credits_entry SET xid = (xid::text::bigint + 1)::text::xid8",
        "credits_entry SET epoch = epoch + 1",
    ],
)
def test_whatever_is_changed_in_a_sealed_posting_breaks_its_block(change: str) -> None:
    books = SealedBooks()
    table, _, assignment = change.partition(" SET ")
    key = "id" if table == "credits_posting" else "posting_id"

    first = books.blocks[0].number
    broken = findings_after(
        f"UPDATE {table} SET {assignment.format(other=books.other.id)}"  # noqa: S608 - above
        f" WHERE {key} = '{books.paid.id}'",
        first,
    )

    assert f"seal {first}" in broken
    assert seals.check(first=first) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM credits_entry WHERE posting_id = '{paid}'",
        "DELETE FROM credits_entry WHERE posting_id = '{paid}' AND account_id = {bo}",
        "DELETE FROM credits_posting WHERE id = '{paid}'",
        """INSERT INTO credits_entry (posting_id, account_id, amount, epoch, xid)
            SELECT posting_id, 2, 1, epoch, xid FROM credits_entry
            WHERE posting_id = '{paid}' AND account_id = {bo}""",
        "UPDATE credits_seal SET root = sha256(root) WHERE number = {block}",
        "UPDATE credits_seal SET salt = sha256(salt) WHERE number = {block}",
        "UPDATE credits_seal SET hash = sha256(hash) WHERE number = {block}",
        "UPDATE credits_seal SET entries = entries - 1 WHERE number = {block}",
        "UPDATE credits_seal SET upto_account = upto_account + 1 WHERE number = {block}",
        "UPDATE credits_seal SET sealed_at = sealed_at - interval '1 h' WHERE number = {block}",
    ],
)
def test_entries_and_blocks_that_are_removed_added_or_rewritten_are_found(sql: str) -> None:
    books = SealedBooks()
    block = books.blocks[0].number

    broken = findings_after(sql.format(paid=books.paid.id, bo=books.bo, block=block), block)

    assert f"seal {block}" in broken


def findings_after(sql: str, first: int) -> list[str]:
    """Return which blocks from *first* on are broken after SQL, which no trigger stops.

    It is undone.
    """
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)
        subjects = [finding.subject for finding in seals.check(first=first)]
        transaction.set_rollback(True)
    return subjects


def test_there_is_no_proof_from_a_block_that_was_tampered_with() -> None:
    books = SealedBooks()

    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE credits_posting SET memo = 'another' WHERE id = %s", [books.paid.id])
        with pytest.raises(SealBroken) as broken:
            proof(books.paid.id, books.bo)
        # Also of an entry that was left alone: the block vouches for nothing any more.
        with pytest.raises(SealBroken):
            proof(books.other.id, books.ada)
        transaction.set_rollback(True)

    assert broken.value.number == books.blocks[0].number
    assert check_proof(proof(books.paid.id, books.bo).as_json()) == []


def test_checking_reports_its_progress() -> None:
    SealedBooks()
    seen: list[tuple[int, int]] = []

    assert seals.check(progress=lambda done, total: seen.append((done, total))) == []

    newest = newest_seal()
    assert newest is not None
    assert seen == [(done, newest.number) for done in range(newest.number)]
