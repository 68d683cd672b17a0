"""Proves the books: every invariant is a query that finds what breaks it.

A file of invariants is SQL. Each block begins with `-- invariant: name`, goes on with a comment
that says what is always true, and has one SELECT of two text columns: `subject`, the row
that is wrong, and `wrong`, what is wrong with it. Other programs add files of their own.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

INVARIANTS = Path(__file__).parent / "invariants.sql"
"""The ledger's own invariants."""

MAX_FINDINGS = 100
"""Findings of one invariant: where everything is wrong, the first hundred rows say so."""

_HEAD = re.compile(r"^-- invariant: *(\S+) *\n((?:--.*\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that is always true of the database.

    Attributes:
        name: Snake case, unique over all files that run together.
        sentence: What is always true.
        query: Finds what breaks it.
    """

    name: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks an invariant.

    Attributes:
        invariant: The invariant's name.
        sentence: What should be true.
        subject: Which row, such as `account 1007`.
        wrong: What is wrong with it.
    """

    invariant: str
    sentence: str
    subject: str
    wrong: str


Progress = Callable[[Invariant, int, int], None]
"""Called before each invariant: which, how many are done, how many there are."""


def read(path: Path) -> list[Invariant]:
    """Return the invariants of a file, in order.

    Raises:
        ValueError: The file has none, or a block has no query.
    """
    text = path.read_text()
    heads = list(_HEAD.finditer(text))
    if not heads:
        raise ValueError(f"{path.name} has no invariants")
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = []
    for head, end in zip(heads, ends, strict=True):
        sentence = " ".join(line.removeprefix("--").strip() for line in head[2].splitlines())
        query = text[head.end() : end].strip().removesuffix(";")
        if not query:
            raise ValueError(f"{path.name}: {head[1]} has no query")
        found.append(Invariant(name=head[1], sentence=sentence, query=query))
    return found


def run(paths: Sequence[Path] = (INVARIANTS,), progress: Progress | None = None) -> list[Finding]:
    """Return everything that breaks the invariants of *paths*; nothing when the books are right.

    Raises:
        ValueError: A file cannot be read as invariants, or a name stands twice.

    Transaction: one snapshot of its own, read-only, so that postings that commit meanwhile neither
    wait nor confuse it; inside a caller's transaction, that one, whatever its isolation. Locks:
    none. Complexity: linear in the entries, with a sort.
    """
    invariants = [invariant for path in paths for invariant in read(path)]
    names = [invariant.name for invariant in invariants]
    if len(set(names)) < len(names):
        raise ValueError("two invariants have the same name")
    own = not connection.in_atomic_block
    findings = []
    with transaction.atomic() if own else nullcontext(), connection.cursor() as cursor:
        if own:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for done, invariant in enumerate(invariants):
            if progress is not None:
                progress(invariant, done, len(invariants))
            cursor.execute(
                f"SELECT subject, wrong FROM ({invariant.query}) AS broken LIMIT {MAX_FINDINGS}"  # noqa: S608 - a file of the program
            )
            findings += [
                Finding(invariant.name, invariant.sentence, subject, wrong)
                for subject, wrong in cursor.fetchall()
            ]
    return findings
