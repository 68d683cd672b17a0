"""`manage.py ledger export`, as somebody uses it who has never seen it."""

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

import credits.management.commands.ledger  # noqa: F401 - before a test patches what it imports
from credits import verifier
from credits.seals import list_seals
from tests.credits.books import seal_everything
from tests.credits.cast import a_wallet

pytestmark = pytest.mark.usefixtures("db")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is not there, in a folder with nothing else."""
    a_wallet(100)
    seal_everything()
    return tmp_path / "the books.jsonl"


def exporting(file: Path, *arguments: str) -> str:
    said = StringIO()
    call_command("ledger", "export", "--output", str(file), *arguments, stdout=said)
    return said.getvalue()


def report_of(file: Path) -> verifier.Report:
    with file.open() as lines:
        return verifier.check_export(lines)


def stopping_with(error: BaseException) -> object:
    def export(_progress: object = None) -> Iterator[str]:
        yield json.dumps(verifier.HEAD) + "\n"
        raise error

    return export


def test_it_says_what_it_wrote_and_how_to_check_it(file: Path) -> None:
    said = exporting(file)

    (newest,) = list_seals(limit=1, newest_first=True)
    assert f"{file.stat().st_size:,} bytes" in said
    assert f"last block {newest.number}:{newest.hash}" in said
    (command,) = [line for line in said.splitlines() if line.startswith("To check it: ")]
    program, *arguments = shlex.split(command.removeprefix("To check it: "))
    assert program == "python3"
    checked = subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(verifier.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"last block {newest.number}:{newest.hash}" in checked.stdout


def test_programs_are_told_the_same_as_json(file: Path) -> None:
    told = json.loads(exporting(file, "--json"))

    report = report_of(file)
    (newest,) = list_seals(limit=1, newest_first=True)
    assert told.pop("seconds") >= 0
    assert told == {
        "file": str(file),
        "postings": report.postings,
        "entries": report.entries,
        "accounts": report.accounts,
        "seals": report.seals,
        "last_block": f"{newest.number}:{newest.hash}",
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


@pytest.mark.parametrize(
    ("error", "said", "ends_with"),
    [
        (OSError(28, "No space left on device"), "No space left on device", 1),
        (OperationalError("the connection is lost"), "cannot be read: the connection is lost", 1),
        (KeyboardInterrupt(), "Stopped; no file was written.", 130),
    ],
    ids=["full", "lost", "interrupted"],
)
def test_an_export_that_fails_leaves_nothing_behind(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    said: str,
    ends_with: int,
) -> None:
    monkeypatch.setattr("credits.export.export", stopping_with(error))

    with pytest.raises(CommandError, match=said) as failed:
        exporting(file)

    assert failed.value.returncode == ends_with
    assert list(file.parent.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_replaced(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(_progress: object = None) -> Iterator[str]:
        yield json.dumps(verifier.HEAD) + "\n"
        file.write_text("somebody else's")
        yield '{"type":"end","postings":0,"entries":0,"seals":0,"accounts":0}\n'

    monkeypatch.setattr("credits.export.export", export)

    with pytest.raises(CommandError, match="it exists, and is not replaced"):
        exporting(file)

    assert file.read_text() == "somebody else's"
    assert list(file.parent.iterdir()) == [file]


def test_a_file_system_without_links_serves_as_well(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(_self: Path, _target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)

    exporting(file)

    assert list(file.parent.iterdir()) == [file]
    assert report_of(file).findings == []
    with pytest.raises(CommandError, match="exists"):
        exporting(file)


def test_a_folder_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        exporting(file.parent / "nowhere" / file.name)


def test_nobody_gets_the_whole_ledger_on_their_screen() -> None:
    screen = Terminal()

    with pytest.raises(CommandError, match="--output FILE"):
        call_command("ledger", "export", stdout=screen)

    assert screen.getvalue() == ""


def test_json_belongs_to_a_file() -> None:
    with pytest.raises(CommandError, match="--output"):
        call_command("ledger", "export", "--json")
