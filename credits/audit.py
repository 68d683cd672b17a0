"""Proves the books: every invariant is a query that finds what breaks it.

A file of invariants is SQL; `invariants.sql` says how it is written, and other programs add files
of their own. An audit is full, or it looks at what is new since the mark that an earlier one left.

What only a full audit can find: a change to a posting, an entry, a fold or a block that stood below
the mark, where it leaves all that came after as it was. Accounts are compared with their newest
entries, and the supply with all accounts, every time.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, transaction

INVARIANTS = Path(__file__).parent / "invariants.sql"
"""The ledger's own invariants."""

MAX_FINDINGS = 100
"""Findings of one invariant: where everything is wrong, the first hundred rows say so."""

SLACK = timedelta(hours=1)
"""How far an audit of what is new reaches back by the clock.

Postings are found by their place, which is exact. This is for what has no place any more, such as
an entry whose posting is gone, and covers a transaction's length and the clocks of several hosts.
"""

_HEAD = re.compile(r"^-- (money )?invariant: *(\S+) *\n((?:--.*\n)+)", re.MULTILINE)
_WALK = re.compile(r"walk: (\w+)\.(\w+) by (\d+)")
_ONLY_IN_FULL = "only in a full audit"
_IN_CHUNK = re.compile(r"\bin_chunk\(([\w.]+)\)")
_SINCE = "since()"

# A range of one index and rows that are looked up in others: the planner, which may know nothing of
# rows that are minutes old, must not read a whole table for each chunk instead.
_INDEXES_ONLY = (
    "enable_seqscan",
    "enable_bitmapscan",
    "enable_hashjoin",
    "enable_mergejoin",
    "jit",
)


@dataclass(frozen=True, slots=True)
class Walk:
    """How a query goes over a table: for every *step* rows of *table* in the order of *column*."""

    table: str
    column: str
    step: int


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that is always true of the database.

    Attributes:
        name: Snake case, unique over all files that run together.
        sentence: What is always true.
        query: Finds what breaks it.
        is_of_money: Whether credits may not move while it is broken.
        walk: What the query goes over; None where it reads everything at once.
        only_in_full: Whether an audit of what is new leaves it out.
    """

    name: str
    sentence: str
    query: str
    is_of_money: bool = False
    walk: Walk | None = None
    only_in_full: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks an invariant.

    Attributes:
        invariant: The invariant's name.
        sentence: What should be true.
        subject: Which row, such as `account 1007`.
        wrong: What is wrong with it.
        is_of_money: Whether credits may not move while it is so.
    """

    invariant: str
    sentence: str
    subject: str
    wrong: str
    is_of_money: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an audit came: everything below was looked at.

    Attributes:
        epoch: With *xid*, the horizon: postings below it were settled.
        xid: A transaction id, in digits.
        at: When, by the database's clock.
        seal: The number of the newest block; 0 where there was none.
        seal_hash: Its hash, in hexadecimal.
    """

    epoch: int
    xid: str
    at: datetime
    seal: int
    seal_hash: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found.

    Attributes:
        findings: Nothing when the books are right.
        mark: Where the next audit of what is new begins, if nothing was found.
    """

    findings: list[Finding]
    mark: Mark


Progress = Callable[[str, int, int], None]
"""Called now and then: what is looked at, how many rows were, how many there are in all."""

Key = int | UUID | datetime


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
        lines = [line.removeprefix("--").strip() for line in head[3].splitlines()]
        walks = [match for line in lines if (match := _WALK.fullmatch(line))]
        query = text[head.end() : end].strip().removesuffix(";")
        if not query:
            raise ValueError(f"{path.name}: {head[2]} has no query")
        found.append(
            Invariant(
                name=head[2],
                sentence=" ".join(
                    line for line in lines if line != _ONLY_IN_FULL and not _WALK.fullmatch(line)
                ),
                query=query,
                is_of_money=bool(head[1]),
                walk=Walk(walks[0][1], walks[0][2], int(walks[0][3])) if walks else None,
                only_in_full=_ONLY_IN_FULL in lines,
            )
        )
    return found


def run(paths: Sequence[Path] = (INVARIANTS,)) -> list[Finding]:
    """Return everything that breaks the invariants of *paths*; nothing when the books are right.

    As `examine`, in full.
    """
    return examine(paths).findings


def examine(
    paths: Sequence[Path] = (INVARIANTS,),
    *,
    since: Mark | None = None,
    progress: Progress | None = None,
) -> Report:
    """Look for everything that breaks the invariants of *paths*.

    Args:
        paths: Files of invariants.
        since: The mark of an audit that found nothing; only what is new since then is looked at.
            None looks at everything.
        progress: Told how far it is.

    Raises:
        ValueError: A file cannot be read as invariants, or a name stands twice.

    Transaction: one snapshot of its own, read-only, so that postings that commit meanwhile neither
    wait nor confuse it; inside a caller's transaction, that one, whatever its isolation. Locks:
    none. Complexity: linear in the rows, in chunks; memory does not grow with them.
    """
    invariants = [invariant for path in paths for invariant in read(path)]
    names = [invariant.name for invariant in invariants]
    if len(set(names)) < len(names):
        raise ValueError("two invariants have the same name")
    if since is not None:
        invariants = [invariant for invariant in invariants if not invariant.only_in_full]
    with snapshot():
        return _Audit(invariants, progress, since).report()


@contextmanager
def snapshot() -> Iterator[None]:
    """Let everything in the block see one state of the database, and change nothing.

    Inside a caller's transaction that one goes on instead, whatever its isolation.
    """
    is_own = not connection.in_atomic_block
    with transaction.atomic():
        if is_own:
            _execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
        # Nothing was written; what was set for the planner goes with the savepoint.
        transaction.set_rollback(True)


def kept(mark: Mark) -> list[Finding]:
    """Return a finding unless the block that *mark* names still stands as it was. Round trips: one.

    Blocks vouch for all before them, so a chain that was cut off or made anew is found, too.
    """
    if mark.seal == 0:
        return []
    rows = _execute(
        f"SELECT encode(hash, 'hex') FROM credits_seal WHERE number = {mark.seal}"  # noqa: S608 - a number
    )
    if rows == [(mark.seal_hash,)]:
        return []
    return [
        Finding(
            invariant="audited_blocks_stay",
            sentence="A block that an audit has seen stays as it was.",
            subject=f"seal {mark.seal}",
            wrong=f"has another hash than {mark.seal_hash}" if rows else "is gone",
        )
    ]


class _Audit:
    """One audit, inside its snapshot."""

    def __init__(
        self, invariants: Sequence[Invariant], progress: Progress | None, since: Mark | None
    ) -> None:
        self.invariants = invariants
        self.progress = progress
        self.since = since
        self.findings: dict[str, list[Finding]] = {one.name: [] for one in invariants}
        self.done = 0

    def report(self) -> Report:
        mark = _mark()
        walks = {one.walk for one in self.invariants if one.walk is not None}
        starts = {walk: self._start(walk) for walk in walks}
        rows = {walk: _rows_from(walk, starts[walk]) for walk in walks}
        total = sum(max(1, rows[one.walk]) if one.walk else 1 for one in self.invariants)
        for walk, group in groupby(self.invariants, key=lambda one: one.walk):
            members = list(group)
            if walk is None:
                for one in members:
                    self._tell(one.name, total)
                    self._look(one, {})
                    self.done += 1
            else:
                self._go(walk, members, starts[walk], rows[walk], total)
        found = [finding for one in self.invariants for finding in self.findings[one.name]]
        return Report(findings=found, mark=mark)

    def _go(
        self, walk: Walk, members: Sequence[Invariant], start: Key | None, rows: int, total: int
    ) -> None:
        _execute("; ".join(f"SET LOCAL {name} = off" for name in _INDEXES_ONLY))
        before, left, after, is_last = self.done, rows, start, False
        while not is_last:
            upto = _chunk_end(walk, after)
            is_last = upto is None
            step = min(walk.step, left)
            for one in members:
                self._tell(one.name, total)
                self._look(one, {"after": after, "upto": upto})
                self.done += step
            after, left = upto, left - step
        # A table without rows is a step as well.
        self.done = before + max(1, rows) * len(members)
        _execute("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in _INDEXES_ONLY))

    def _look(self, invariant: Invariant, chunk: dict[str, Key | None]) -> None:
        found = self.findings[invariant.name]
        left = MAX_FINDINGS - len(found)
        if left <= 0:
            return
        query = _IN_CHUNK.sub(lambda match: _within(match[1], chunk), invariant.query)
        since = "-infinity" if self.since is None else (self.since.at - SLACK).isoformat()
        query = query.replace(_SINCE, f"timestamptz '{since}'")
        rows = _execute(f"SELECT subject, wrong FROM ({query}) AS broken LIMIT {left}")  # noqa: S608 - a file of the program
        found += [
            Finding(invariant.name, invariant.sentence, subject, wrong, invariant.is_of_money)
            for subject, wrong in rows
        ]

    def _start(self, walk: Walk) -> Key | None:
        """Return the key after which a walk begins; None for the very first row."""
        if self.since is None:
            return None
        reaching = self.since.at - SLACK
        if walk.table == "credits_posting":
            return self._first_posting(reaching)
        if walk.table == "credits_fold":
            return reaching
        if walk.table == "credits_seal":
            return self.since.seal - 1 if self.since.seal else None
        return None

    def _first_posting(self, reaching: datetime) -> UUID | None:
        """Return an id below those of all new postings and, by the clock, of their entries."""
        assert self.since is not None
        by_clock = UUID(int=int(reaching.timestamp() * 1000) << 80)  # ids are UUIDs of version 7
        ((lowest,),) = _execute(
            "SELECT min(id::text)::uuid FROM credits_posting WHERE (epoch, xid) >="  # noqa: S608 - a mark
            f" ({self.since.epoch}, '{int(self.since.xid)}')"
        )
        if lowest is None or lowest > by_clock:
            return by_clock
        return UUID(int=lowest.int - 1) if lowest.int else None

    def _tell(self, what: str, total: int) -> None:
        if self.progress is not None:
            self.progress(what, min(self.done, total), total)


def _mark() -> Mark:
    ((epoch, xid, at, number, seal_hash),) = _execute(
        "SELECT horizon.epoch, horizon.xid::text, clock_timestamp(), coalesce(seal.number, 0),"
        " coalesce(encode(seal.hash, 'hex'), '')"
        " FROM credits_horizon() AS horizon LEFT JOIN LATERAL ("
        "SELECT number, hash FROM credits_seal ORDER BY number DESC LIMIT 1) AS seal ON true"
    )
    return Mark(epoch, xid, at, number, seal_hash)


def _rows_from(walk: Walk, start: Key | None) -> int:
    condition = _within(walk.column, {"after": start, "upto": None})
    ((rows,),) = _execute(f"SELECT count(*) FROM {walk.table} WHERE {condition}")  # noqa: S608 - of a file
    return int(rows)


def _chunk_end(walk: Walk, after: Key | None) -> Key | None:
    """Return the last key of the chunk after *after*; None where the table ends before."""
    condition = _within(walk.column, {"after": after, "upto": None})
    rows = _execute(
        f"SELECT {walk.column} FROM {walk.table} WHERE {condition}"  # noqa: S608 - of a file
        f" ORDER BY {walk.column} OFFSET {walk.step - 1} LIMIT 1"
    )
    return rows[0][0] if rows else None


def _within(column: str, chunk: dict[str, Key | None]) -> str:
    bounds = [
        f"{column} {sign} {_literal(key)}"
        for sign, key in ((">", chunk["after"]), ("<=", chunk["upto"]))
        if key is not None
    ]
    return f"({' AND '.join(bounds)})" if bounds else "true"


def _literal(key: Key) -> str:
    # Written out, so that each range is planned as what it is.
    if isinstance(key, UUID):
        return f"uuid '{key}'"
    return f"timestamptz '{key.isoformat()}'" if isinstance(key, datetime) else str(key)


def _execute(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []
