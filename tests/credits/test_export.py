"""An export, and the verifier that needs neither Django nor this repository."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from credits import escrow, seals, verifier
from credits.export import export
from credits.ledger import FEES, Leg, Posted, close_account, post, reverse
from credits.rollup import roll_up
from tests.credits.books import Record, exported, seal_everything, written
from tests.credits.cast import a_wallet, give, pay, run_together, unique

pytestmark = pytest.mark.usefixtures("db")

VERIFIER = Path(verifier.__file__)


class Books:
    """Postings of every sort; some sealed and folded, the last one not."""

    def __init__(self) -> None:
        self.ada, self.bo = a_wallet(100), a_wallet()
        closed, work = a_wallet(), unique("task")
        self.paid = pay(self.ada, self.bo, 10)
        with transaction.atomic():
            post(
                reference=unique("odd"),
                kind="odd",
                legs=[Leg(self.ada, -1), Leg(FEES, 1)],
                memo='Grüße,\n"Ada" \\ \u2028 \U0001f600',
            )
            reverse(self.paid.id, reference=unique("reversal"))
            escrow.fund(work=work, owner=None, source=self.ada, amount=5, reference=unique("f"))
            escrow.settle(work=work, parts={self.bo: 4, FEES: 1})
            close_account(closed)
        self.blocks = seal_everything()
        roll_up()
        self.unsealed = give(self.bo, 3)


def verify(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier as a stranger would: isolated, elsewhere, with nothing of ours."""
    return subprocess.run(
        [sys.executable, "-I", str(VERIFIER), str(file), *arguments],
        cwd=file.parent,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_export_is_verified_without_django(tmp_path: Path) -> None:
    books = Books()
    file = tmp_path / "export.jsonl"

    call_command("ledger", "export", "--output", str(file))
    result = verify(file, "--seal", f"{books.blocks[-1].number}:{books.blocks[-1].hash}")

    assert (result.returncode, result.stderr) == (0, "")
    assert "RIGHT" in result.stdout
    assert f"last block {books.blocks[-1].number}:{books.blocks[-1].hash}" in result.stdout


def test_the_verifier_imports_the_standard_library_alone() -> None:
    program = (
        f"import runpy, sys; sys.argv = ['verifier', '--help']; runpy.run_path({str(VERIFIER)!r})"
    )
    listing = "print(*sorted(name.partition('.')[0] for name in sys.modules))"

    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{program}; {listing}"],
        capture_output=True,
        text=True,
        check=True,
    )

    imported = set(result.stdout.split()) - {"__main__"}
    assert "hashlib" in imported
    assert imported <= sys.stdlib_module_names


def test_an_export_counts_what_it_holds() -> None:
    books = Books()
    records = exported()

    report = verifier.check_export(written(records))

    counts = {kind: sum(record["type"] == kind for record in records) for kind in KINDS}
    assert report.findings == []
    assert counts == {
        "posting": report.postings,
        "entry": report.entries,
        "seal": report.seals,
        "account": report.accounts,
    }
    assert report.head == books.blocks[-1].hash
    assert report.entries - report.sealed == 2


KINDS = ("posting", "entry", "seal", "account")


def test_exports_have_one_order_and_sealed_entries_stay_as_they_were() -> None:
    Books()
    first, second = list(export()), list(export())
    pay(a_wallet(5), FEES, 5)
    seal_everything()

    later = list(export())

    assert first == second
    unsealed = [number for number, line in enumerate(first) if '"type":"entry"' in line][-2] - 1
    assert later[:unsealed] == first[:unsealed]
    assert verifier.check_export(later).findings == []


def test_an_export_is_one_snapshot_while_others_post() -> None:
    ada = a_wallet(10)
    lines = export()
    begun = [next(lines) for _ in range(3)]

    (paid,) = run_together(partial(pay, ada, FEES, 4))
    whole = [*begun, *lines]

    assert isinstance(paid, Posted), paid
    assert str(paid.id) not in "".join(whole)
    assert verifier.check_export(whole).findings == []


def test_an_export_goes_to_stdout_or_to_a_new_file_of_its_owner(tmp_path: Path) -> None:
    Books()
    file, out = tmp_path / "export.jsonl", StringIO()

    call_command("ledger", "export", stdout=out)
    call_command("ledger", "export", "--output", str(file))

    assert out.getvalue() == file.read_text() == "".join(export())
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="exists"):
        call_command("ledger", "export", "--output", str(file))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_people_at_a_terminal_see_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Books()
    file, watched, verified = tmp_path / "export.jsonl", Terminal(), Terminal()
    monkeypatch.setattr("credits.export.ROWS_PER_PROGRESS", 1)
    monkeypatch.setattr(verifier, "LINES_PER_PROGRESS", 1)

    call_command("ledger", "export", "--output", str(file), stderr=watched)
    monkeypatch.setattr(sys, "stderr", verified)
    ended = verifier.main([str(file)])

    text = file.read_text()
    entries, lines = text.count('"type":"entry"'), text.count("\n")
    assert ended == verifier.RIGHT
    assert f"] {entries:,} of {entries:,} entries, 0 s left" in watched.getvalue()
    assert f"{lines} lines" in verified.getvalue()


# --- What was changed is found --------------------------------------------------------------------

Change = Callable[[list[Record]], list[Record]]


@cache
def right_records() -> list[Record]:
    """Return an export with everything sealed, whose findings are none."""
    Books()
    seal_everything()
    records = exported()
    assert verifier.check_export(written(records)).findings == []
    return records


def places(records: list[Record], kind: str) -> list[int]:
    return [place for place, record in enumerate(records) if record["type"] == kind]


def with_fields(kind: str, nth: int, /, **fields: Any) -> Change:  # noqa: ANN401 - JSON
    def change(records: list[Record]) -> list[Record]:
        place = places(records, kind)[nth]
        changed = records[place] | fields
        assert changed != records[place]
        return [*records[:place], changed, *records[place + 1 :]]

    return change


def without(kind: str, nth: int) -> Change:
    def change(records: list[Record]) -> list[Record]:
        place = places(records, kind)[nth]
        return records[:place] + records[place + 1 :]

    return change


def twice(kind: str, nth: int) -> Change:
    def change(records: list[Record]) -> list[Record]:
        place = places(records, kind)[nth]
        return records[: place + 1] + records[place:]

    return change


@pytest.mark.of_files_alone
@pytest.mark.parametrize(
    "change",
    [
        with_fields("posting", 1, memo="another"),
        with_fields("posting", 1, reference="another"),
        with_fields("posting", 1, kind="another"),
        with_fields("posting", 1, created_at="2001-01-01T00:00:00.000000Z"),
        with_fields("posting", 1, xid="1"),
        with_fields("entry", 0, amount=999_999),
        with_fields("entry", 0, created_at="2001-01-01T00:00:00.000000Z"),
        with_fields("entry", -1, amount=999_999),
        with_fields("entry", -1, balance_after=999_999),
        with_fields("entry", -1, seq=99),
        with_fields("entry", -1, account=10**15),
        with_fields("account", 0, balance=999_999),
        with_fields("account", -1, balance=999_999),
        with_fields("account", -1, seq=999_999),
        with_fields("account", -1, mode="derived"),
        with_fields("account", -1, floor=1),
        with_fields("seal", 0, root="0" * 64),
        with_fields("seal", -1, hash="0" * 64),
        with_fields("seal", -1, previous="f" * 64),
        with_fields("seal", -1, number=10**6),
        with_fields("seal", -1, entries=1),
        with_fields("seal", -1, entries=10**6),
        with_fields("seal", -1, salt="0" * 64),
        with_fields("seal", -1, sealed_at="2001-01-01T00:00:00.000000Z"),
        with_fields("end", 0, entries=999_999),
        without("entry", 0),
        without("entry", -1),
        without("seal", 0),
        without("seal", -1),
        without("account", 0),
        without("account", -1),
        without("end", 0),
        twice("account", -1),
        twice("seal", -1),
    ],
)
def test_whatever_is_changed_in_an_export_is_found(change: Change) -> None:
    records = right_records()

    report = verifier.check_export(written(change(records)))

    assert report.findings != []


def test_a_posting_that_disappears_whole_is_found() -> None:
    books = Books()
    records = exported()

    kept = [
        record
        for record in records
        if str(books.paid.id) not in {record.get("id"), record.get("posting")}
    ]

    assert verifier.check_export(written(kept)).findings != []


def test_rewritten_books_with_new_seals_are_found_by_a_hash_that_was_noted(tmp_path: Path) -> None:
    books = Books()
    noted = books.blocks[-1]
    file = tmp_path / "export.jsonl"

    # Everything is right in itself: whoever has the salts can seal other books.
    records = exported()
    for record in records:
        if record.get("id") == str(books.paid.id):
            record["memo"] = "another"
    seal_anew(records)
    file.write_text("".join(written(records)))

    assert verify(file).returncode == 0
    result = verify(file, "--seal", f"{noted.number}:{noted.hash}")
    assert result.returncode == 1
    assert f"seal {noted.number}: " in result.stdout


def seal_anew(records: list[Record]) -> None:
    """Give every block the root and the hash that its entries have now."""
    block: Record = {}
    posting: Record = {}
    leaves: list[bytes] = []
    previous = verifier.NO_BLOCK
    for record in records:
        if record["type"] == "seal":
            block, leaves = record, []
        elif record["type"] == "posting":
            posting = record
        elif record["type"] == "entry" and block:
            leaf = verifier.leaf(posting, record, bytes.fromhex(block["salt"]))
            leaves.append(verifier.leaf_hash(leaf))
            if len(leaves) == block["entries"]:
                block |= {"previous": previous, "root": verifier.root(leaves).hex()}
                previous = block["hash"] = verifier.seal_hash(block)
                block = {}


def test_a_cut_off_export_is_found(tmp_path: Path) -> None:
    Books()
    file = tmp_path / "export.jsonl"
    lines = list(export())

    file.write_text("".join(lines[:-5]))

    result = verify(file)
    assert result.returncode == 1
    assert "WRONG  the export is cut off: it has no end" in result.stdout


@pytest.mark.parametrize("text", ["", "\n", "{}", "[]", "no JSON", "\x00\xff", '{"type":1}'])
def test_another_file_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other"
    file.write_bytes(text.encode("latin-1"))

    result = verify(file)

    assert result.returncode == 2
    assert str(file) in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_file_and_a_wrong_hash_are_said(tmp_path: Path) -> None:
    missing, wrong = verify(tmp_path / "none"), verify(tmp_path / "none", "--seal", "1:abc")

    assert (missing.returncode, wrong.returncode) == (2, 2)
    assert "NUMBER:HASH" in wrong.stderr


def test_a_proof_is_verified_without_django(tmp_path: Path) -> None:
    books = Books()
    file, other = tmp_path / "proof.json", tmp_path / "other.json"
    found: Record = seals.proof(books.paid.id, books.bo).as_json()
    file.write_text(json.dumps(found, indent=2))
    other.write_text(json.dumps(found | {"index": found["index"] ^ 1}))
    # Where others wrote a lot, the first block sealed is theirs.
    (block,) = [one for one in books.blocks if one.number == found["seal"]["number"]]
    trusted = f"{block.number}:{block.hash}"

    right, compared, wrong = verify(file), verify(file, "--seal", trusted), verify(other)

    assert (right.returncode, compared.returncode, wrong.returncode) == (0, 0, 1)
    assert "Compare that hash" in right.stdout
    assert "Compare that hash" not in compared.stdout
    assert "'10'" in right.stdout
    assert "WRONG" in wrong.stdout
    assert verify(file, "--seal", f"{block.number}:{'0' * 64}").returncode == 1
