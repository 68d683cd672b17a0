"""The public blocks: listed, found by their entries, and what a hash that was noted proves."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from credits import seals, verifier
from credits.ledger import FEES, AccountId, Posted, owners_beside
from tests.credits.books import Record, seal_everything
from tests.credits.cast import a_wallet, give, pay

pytestmark = pytest.mark.usefixtures("db")

VERIFIER = Path(verifier.__file__)


class Chain:
    """A line in an early block, with some blocks after it."""

    def __init__(self) -> None:
        self.wallet = a_wallet()
        self.line = give(self.wallet, 7)
        seal_everything()
        self.proof = seals.proof(self.line.id, self.wallet).as_json()
        for _ in range(3):
            give(self.wallet, 1)
            seal_everything()
        self.first: int = self.proof["seal"]["number"]  # type: ignore[index] # a seal
        self.blocks = [one.as_json() for one in seals.list_seals(after=self.first - 1, limit=4)]
        assert len(self.blocks) == 4

    @property
    def last(self) -> int:
        return self.first + 3

    def trusting(self, number: int) -> str:
        return f"{number}:{self.blocks[number - self.first]['hash']}"


def verify(tmp_path: Path, proof: object, blocks: str, *arguments: str) -> Any:  # noqa: ANN401 - a process
    """Run the verifier with files of these contents."""
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    (tmp_path / "blocks.jsonl").write_text(blocks)
    return subprocess.run(
        [sys.executable, "-I", VERIFIER, "proof.json", "--blocks", "blocks.jsonl", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def lines_of(blocks: list[Record]) -> str:
    return "".join(json.dumps(block) + "\n" for block in blocks)


# --- Listing and finding --------------------------------------------------------------------------


def test_blocks_are_listed_from_either_end_and_between_two() -> None:
    chain = Chain()
    first, last = chain.first, chain.last

    def numbers(**bounds: Any) -> list[int]:  # noqa: ANN401 - list_seals checks
        return [one.number for one in seals.list_seals(limit=10, **bounds)]

    assert numbers(after=first, before=last) == [first + 1, first + 2]
    assert numbers(after=first, before=last, newest_first=True) == [first + 2, first + 1]
    assert numbers(newest_first=True)[0] == last
    assert numbers(after=last) == []


def test_an_entry_is_found_in_the_block_that_its_proof_names() -> None:
    ada, bo = a_wallet(100), a_wallet()
    early = [pay(ada, bo, 1) for _ in range(3)]
    seal_everything()
    later = pay(ada, bo, 1)
    seal_everything()
    waiting = pay(ada, bo, 1)
    postings = [one.id for one in (*early, later, waiting)]

    found = seals.blocks_of(bo, [*postings, uuid4()])

    assert found == {one.id: seals.proof(one.id, bo).seal.number for one in (*early, later)}
    assert seals.blocks_of(a_wallet(), postings) == {}
    assert seals.blocks_of(bo, []) == {}


def test_an_entry_at_the_very_end_of_a_block_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seal_everything()
    monkeypatch.setattr(seals, "MAX_BLOCK_ENTRIES", 1)
    ada, bo = a_wallet(5), a_wallet()
    paid = pay(ada, bo, 1)
    seal_everything()

    for account in (ada, bo):
        number = seals.proof(paid.id, account).seal.number
        assert seals.blocks_of(account, [paid.id]) == {paid.id: number}


def test_the_other_side_of_a_posting_is_whoever_owns_it() -> None:
    def owner_of(posting: Posted, of: AccountId) -> list[object]:
        return list(owners_beside(of, [posting.id]).get(posting.id, []))

    ada, bo = a_wallet(100), a_wallet()
    paid, fee = pay(ada, bo, 1), pay(ada, FEES, 1)

    assert owner_of(paid, ada) != owner_of(paid, bo)
    assert len(owner_of(paid, ada)) == len(owner_of(paid, bo)) == 1
    assert owner_of(fee, ada) == []


# --- A hash that was noted ------------------------------------------------------------------------


def test_a_noted_hash_vouches_for_a_line_of_an_earlier_block(tmp_path: Path) -> None:
    chain = Chain()
    whole = lines_of(chain.blocks)

    right = verify(tmp_path, chain.proof, whole, "--seal", chain.trusting(chain.last))
    wrong = verify(tmp_path, chain.proof, whole, "--seal", f"{chain.last}:{'0' * 64}")

    assert (right.returncode, right.stderr) == (0, "")
    assert f"The hash of block {chain.last}, which you trust, vouches for it." in right.stdout
    assert wrong.returncode == 1
    assert f"WRONG  seal {chain.last}: its hash is not the one that you trust" in wrong.stdout
    assert "vouches" not in wrong.stdout


def test_pages_of_the_api_serve_as_blocks_in_any_order(tmp_path: Path) -> None:
    chain = Chain()
    pages = [{"results": chain.blocks[2:], "next_cursor": None}, {"results": chain.blocks[:2]}]
    text = "\n\n".join(json.dumps(page) for page in pages)

    result = verify(tmp_path, chain.proof, text, "--seal", chain.trusting(chain.last))

    assert (result.returncode, result.stderr) == (0, "")


def test_a_noted_hash_does_not_vouch_for_what_came_after_it(tmp_path: Path) -> None:
    chain = Chain()
    later = give(chain.wallet, 1)
    seal_everything()
    proof = seals.proof(later.id, chain.wallet).as_json()

    result = verify(tmp_path, proof, lines_of(chain.blocks), "--seal", chain.trusting(chain.last))

    assert result.returncode == 0
    assert "vouches" not in result.stdout
    assert "Compare that hash" in result.stdout


def test_a_block_that_is_missing_or_changed_on_the_way_is_found(tmp_path: Path) -> None:
    chain = Chain()
    trusted = chain.trusting(chain.last)
    gap = [block for block in chain.blocks if block["number"] != chain.first + 1]
    another = {"root": "0" * 64}
    changed = [*chain.blocks[:1], chain.blocks[1] | another, *chain.blocks[2:]]
    forged = chain.blocks[1] | another
    forged["hash"] = verifier.seal_hash(forged)
    rewritten = [chain.blocks[0], forged, *chain.blocks[2:]]
    cut = chain.blocks[:-1]

    said = [
        verify(tmp_path, chain.proof, lines_of(blocks), "--seal", trusted)
        for blocks in (gap, changed, rewritten, cut, [*chain.blocks, forged])
    ]

    second, third = chain.first + 1, chain.first + 2
    assert [one.returncode for one in said] == [1] * 5
    assert f"seal {second}: missing between the blocks that are there" in said[0].stdout
    assert f"seal {second}: its hash is not that of what it says" in said[1].stdout
    assert f"seal {third}: does not name the block before it" in said[2].stdout
    assert f"seal {chain.last}: you trust its hash, and it is not among the" in said[3].stdout
    assert f"seal {second}: there are two, with different hashes" in said[4].stdout


def test_a_hash_of_another_block_is_not_taken_for_checked_without_the_blocks(
    tmp_path: Path,
) -> None:
    chain = Chain()

    result = verify(tmp_path, chain.proof, "", "--seal", chain.trusting(chain.last))

    assert result.returncode == 2
    assert "--blocks" in result.stderr
    assert "RIGHT" not in result.stdout


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", "1", '{"results": 1}', '{"results": [1]}', "{}"]
)
def test_a_file_of_no_blocks_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    chain = Chain()

    result = verify(tmp_path, chain.proof, lines_of(chain.blocks) + text)

    assert result.returncode == 2
    assert "blocks.jsonl: line 5 is neither a block nor a page of blocks" in result.stderr
    assert "Traceback" not in result.stderr


def test_blocks_beside_an_export_are_refused(tmp_path: Path) -> None:
    chain = Chain()

    result = verify(tmp_path, verifier.HEAD, lines_of(chain.blocks))

    assert result.returncode == 2
    assert "--blocks is for a proof" in result.stderr
