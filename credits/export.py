"""The whole ledger as lines of JSON, for `credits.verifier`, an archive, or another program.

The lines have one order: what an export says of sealed entries is how every later one begins.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from credits import verifier
from credits.lines import Line, instant

ROWS_PER_FETCH = 2_000
ROWS_PER_PROGRESS = 5_000

# LEFT: a posting that has lost its entries is exported, and found to be wrong by the verifier.
_LINES = """
    SELECT posting.epoch, posting.xid::text, posting.id, posting.kind, posting.reference,
        posting.digest, posting.memo, posting.subject, posting.reverses, posting.created_at,
        entry.epoch, entry.xid::text, entry.account_id, entry.amount, entry.seq,
        entry.balance_after, entry.created_at
    FROM credits_posting AS posting
    LEFT JOIN credits_entry AS entry ON entry.posting_id = posting.id
    ORDER BY posting.epoch, posting.xid, posting.id, entry.account_id
"""
_SEALS = """
    SELECT number, encode(previous, 'hex'), encode(root, 'hex'), encode(hash, 'hex'), entries,
        encode(salt, 'hex'), sealed_at
    FROM credits_seal ORDER BY number
"""
_ACCOUNTS = """
    SELECT id, kind, owner, reference, mode,
        CASE mode WHEN 'stored' THEN balance ELSE credits_derived_balance(id) END,
        floor, seq, opened_at, posted_at, closed_at
    FROM credits_account ORDER BY id
"""

Progress = Callable[[int, int], None]
"""Called now and then: how many entries were written, how many there are."""


def export(progress: Progress | None = None) -> Iterator[str]:
    """Yield the lines of an export, each with its end of line.

    It holds everything: who holds what, memos, and the salts of the blocks. It is for the operator,
    not for a participant, who gets proofs (`credits.seals.proof`).

    Transaction: one snapshot of its own, read-only, open until the last line. It has no
    transaction id, so it holds back no roll-up and no seal. Locks: none. Memory: some thousand
    rows.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # Who reads the lines may take their time.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            total = 0
            if progress is not None:
                cursor.execute("SELECT count(*) FROM credits_entry")
                (total,) = cursor.fetchone()
        for record in _records(progress, total):
            yield json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True)
class Written:
    """What an export holds that was written to a file.

    Attributes:
        postings: How many.
        entries: How many.
        accounts: How many.
        seals: How many.
        last_block: The last block as `NUMBER:HASH`, to note elsewhere; empty without one.
        bytes: The size of the file.
        sha256: Of the file, in hexadecimal.
    """

    postings: int
    entries: int
    accounts: int
    seals: int
    last_block: str
    bytes: int
    sha256: str


def write(path: Path, progress: Progress | None = None) -> Written:
    """Write an export to a new file for its owner alone, which is there whole or not at all.

    Raises:
        FileExistsError: There is such a file; it is left as it is.
        OSError: The file cannot be written.

    Transaction: as `export`.
    """
    if path.exists():  # before an hour's work; the link below refuses as well
        raise FileExistsError
    descriptor, partial = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".partial"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            seal = end = b"{}"
            digest = sha256()
            for line in export(progress):
                end = line.encode()
                if end.startswith(b'{"type":"seal"'):
                    seal = end
                digest.update(end)
                file.write(end)
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        _put_in_place(Path(partial), path)
    finally:
        Path(partial).unlink(missing_ok=True)
    last = json.loads(seal)
    counts = {name: count for name, count in json.loads(end).items() if name != "type"}
    return Written(
        **counts,
        last_block=f"{last['number']}:{last['hash']}" if last else "",
        bytes=size,
        sha256=digest.hexdigest(),
    )


def _put_in_place(partial: Path, path: Path) -> None:
    try:
        path.hardlink_to(partial)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as a memory stick's
        if path.exists():
            raise FileExistsError from None
        partial.rename(path)


def _records(progress: Progress | None, total: int) -> Iterator[dict[str, object]]:
    counts = dict.fromkeys(("postings", "entries", "seals", "accounts"), 0)
    yield dict(verifier.HEAD)
    seals = _seals()
    covered = 0  # entries that the seals written so far cover
    posting = None
    for line in map(Line._make, _rows(_LINES)):
        is_entry = line.account is not None
        # A seal stands before the first entry of its block, so that a reader knows its salt.
        if is_entry and counts["entries"] == covered and (seal := next(seals, None)) is not None:
            covered += seal["entries"]
            counts["seals"] += 1
            yield seal
        if line.posting != posting:
            posting = line.posting
            counts["postings"] += 1
            yield line.posting_line()
        if is_entry:
            counts["entries"] += 1
            yield line.entry_line()
            if progress is not None and counts["entries"] % ROWS_PER_PROGRESS == 0:
                progress(counts["entries"], total)
    for seal in seals:  # blocks whose entries are gone
        counts["seals"] += 1
        yield seal
    for account in _accounts():
        counts["accounts"] += 1
        yield account
    yield {"type": "end", **counts}


def _seals() -> Iterator[dict[str, Any]]:
    for number, previous, root, own_hash, entries, salt, sealed_at in _rows(_SEALS):
        yield {
            "type": "seal",
            "number": number,
            "previous": previous,
            "root": root,
            "hash": own_hash,
            "entries": entries,
            "salt": salt,
            "sealed_at": instant(sealed_at),
        }


def _accounts() -> Iterator[dict[str, object]]:
    for (
        number, kind, owner, reference, mode, balance, floor, seq, opened_at, posted_at, closed_at,
    ) in _rows(_ACCOUNTS):  # fmt: skip
        yield {
            "type": "account",
            "id": number,
            "kind": kind,
            "owner": None if owner is None else str(owner),
            "reference": reference,
            "mode": mode,
            "balance": balance,
            "floor": floor,
            "seq": seq,
            "opened_at": instant(opened_at),
            "posted_at": None if posted_at is None else instant(posted_at),
            "closed_at": None if closed_at is None else instant(closed_at),
        }


def _rows(query: str) -> Iterator[tuple[Any, ...]]:
    # On the server's side: a client's cursor would fetch the whole ledger at once.
    cursor: AbstractContextManager[Any] = closing(connection.chunked_cursor())
    with cursor as rows:
        rows.execute(query)
        while page := rows.fetchmany(ROWS_PER_FETCH):
            yield from page
