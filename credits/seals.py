"""Sealed books: blocks of entries that nobody can change unnoticed, and the proof of one entry.

A sealer takes settled entries, in the order (epoch, xid, posting, account), into numbered blocks.
Each has the root of a Merkle tree over its entries and the hash of the block before, so a hash that
was published stands for everything before it. `credits.verifier` says what is hashed and checks it.

Sealing is never in a posting's path: a chain of hashes there would be one lock for everybody.
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import connection

from credits import verifier
from credits.audit import MAX_FINDINGS, Finding
from credits.errors import NotSealedYet, SealBroken, UnknownEntry, ledger_errors
from credits.ledger import AccountId
from credits.lines import Line, Place, instant

MAX_BLOCK_ENTRIES = 1_024
"""Entries of a block: a proof has at most 10 hashes, and making one reads no more than these."""

MAX_SEALS = 1_000
"""Seals of one page."""

SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Seal:
    """What everybody may know of a block. Hashes are SHA-256 in lower-case hexadecimal.

    Attributes:
        number: From 1, without gaps.
        previous: The hash of the block before; zeros for block 1.
        root: The root of the tree over its entries.
        hash: Of all other attributes; noted elsewhere, it vouches for this block and all before.
        entries: How many it has.
        sealed_at: When, by the database's clock; never before the block before.
    """

    number: int
    previous: str
    root: str
    hash: str
    entries: int
    sealed_at: datetime

    def as_json(self) -> dict[str, object]:
        """Return what `credits.verifier` reads."""
        return {
            "number": self.number,
            "previous": self.previous,
            "root": self.root,
            "hash": self.hash,
            "entries": self.entries,
            "sealed_at": instant(self.sealed_at),
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is in a block. It tells nothing about the entries beside it.

    Attributes:
        seal: The block.
        index: The entry's place in it, from 0.
        leaf: The entry as it was hashed: a JSON document of strings, kept as text.
        path: The hashes beside the way up to the root, from the leaf's neighbour on.
    """

    seal: Seal
    index: int
    leaf: str
    path: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return the document that `credits.verifier` checks."""
        return {
            "type": verifier.PROOF,
            "format": verifier.FORMAT,
            "leaf": self.leaf,
            "index": self.index,
            "path": list(self.path),
            "seal": self.seal.as_json(),
        }


BEFORE_ALL = Place(0, "0", UUID(int=0), 0)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block with what is not public about it."""

    seal: Seal
    salt: bytes
    upto: Place


def seal() -> Seal | None:
    """Seal the next settled entries; return their block, or None where nothing waits.

    One call makes one block of at most `MAX_BLOCK_ENTRIES`; call again until None. Of two sealers
    at once one writes the block, and the other gets None. Safe to kill.

    Transaction: one for the insertion, unless the caller has one. Locks: none that postings take.
    Round trips: three.
    """
    before = _last_block()
    lines, read_at = _settled_after(before.upto if before else BEFORE_ALL, MAX_BLOCK_ENTRIES)
    if not lines:
        return None
    salt = secrets.token_bytes(SALT_BYTES)
    unhashed = Seal(
        number=before.seal.number + 1 if before else 1,
        previous=before.seal.hash if before else verifier.NO_BLOCK,
        root=verifier.root(_hashes_of(lines, salt)).hex(),
        hash="",
        entries=len(lines),
        # The machine's clock may run back; blocks do not.
        sealed_at=max(read_at, before.seal.sealed_at) if before else read_at,
    )
    made = replace(unhashed, hash=verifier.seal_hash(unhashed.as_json()))
    upto = lines[-1].place
    with ledger_errors(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT credits_add_seal(%s, %s, %s, %s, %s, %s, %s, %s::xid8, %s, %s, %s)",
            [
                made.number,
                bytes.fromhex(made.previous),
                bytes.fromhex(made.root),
                bytes.fromhex(made.hash),
                made.entries,
                salt,
                upto.epoch,
                upto.xid,
                upto.posting,
                upto.account,
                made.sealed_at,
            ],
        )
        (added,) = cursor.fetchone()
    return made if added else None


def list_seals(
    *, limit: int, after: int = 0, before: int | None = None, newest_first: bool = False
) -> list[Seal]:
    """Return the blocks with numbers above *after* and below *before*. Round trips: one.

    Blocks never change and new ones have higher numbers, so the number of a page's last block is
    where the next page begins: *after* it, or *before* it where the newest come first.

    Raises:
        ValueError: *limit* is not 1 to `MAX_SEALS`.
    """
    if not 1 <= limit <= MAX_SEALS:
        raise ValueError(f"a page has 1 to {MAX_SEALS} seals")
    order = "DESC" if newest_first else "ASC"
    blocks = _blocks(
        f"number > %s AND (%s::bigint IS NULL OR number < %s) ORDER BY number {order} LIMIT %s",
        [after, before, before, limit],
    )
    return [block.seal for block in blocks]


def blocks_of(account: AccountId, postings: Collection[UUID]) -> dict[UUID, int]:
    """Return the numbers of the blocks that the entries of *account* in *postings* are in.

    What is not there is not sealed yet, or there is no such entry.

    Complexity: one index lookup for each posting. Round trips: one.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT posting.id, block.number FROM credits_entry AS entry"
            " JOIN credits_posting AS posting ON posting.id = entry.posting_id"
            # The first block that does not end before the entry.
            " CROSS JOIN LATERAL (SELECT number FROM credits_seal"
            " WHERE (upto_epoch, upto_xid, upto_posting, upto_account)"
            " >= (posting.epoch, posting.xid, posting.id, entry.account_id)"
            " ORDER BY upto_epoch, upto_xid, upto_posting, upto_account LIMIT 1) AS block"
            " WHERE entry.account_id = %s AND entry.posting_id = ANY (%s)",
            [account, list(postings)],
        )
        return dict(cursor.fetchall())


def proof(posting: UUID, account: AccountId) -> Proof:
    """Return the proof that the entry of *account* in *posting* is in a block.

    Whether the caller may see the entry is for the caller to ask: the proof shows all of it.

    Raises:
        UnknownEntry: There is no such entry.
        NotSealedYet: It is in no block yet.
        SealBroken: The block's entries are not those that were sealed.

    Complexity: the entries of one block. Round trips: four.
    """
    with connection.cursor() as cursor:
        # By the posting's place, which orders entries; an entry moved elsewhere breaks its block.
        cursor.execute(
            "SELECT posting.epoch, posting.xid::text FROM credits_entry AS entry"
            " JOIN credits_posting AS posting ON posting.id = entry.posting_id"
            " WHERE entry.posting_id = %s AND entry.account_id = %s",
            [posting, account],
        )
        found = cursor.fetchone()
    if found is None:
        raise UnknownEntry(posting=posting, account=account)
    epoch, xid = found
    place = Place(epoch, xid, posting, account)
    blocks = _blocks(
        # seal.upto_xid: the bare name would be the text of that name that is selected.
        "(upto_epoch, seal.upto_xid, upto_posting, upto_account) >= (%s, %s::xid8, %s, %s)"
        " ORDER BY upto_epoch, seal.upto_xid, upto_posting, upto_account LIMIT 1",
        [place.epoch, place.xid, place.posting, place.account],
    )
    if not blocks:
        raise NotSealedYet(posting=posting, account=account)
    (block,) = blocks
    lines, hashes = _read_block(block)
    index = next((nth for nth, line in enumerate(lines) if line.place == place), None)
    if index is None:
        raise SealBroken(number=block.seal.number)
    return Proof(
        seal=block.seal,
        index=index,
        leaf=lines[index].leaf(block.salt),
        path=tuple(one.hex() for one in path_of(hashes, index)),
    )


def check(*, first: int = 1, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Hash blocks again; return a finding for each whose entries were changed.

    `invariants.sql` says that blocks follow one another and leave no entry out; this says that
    what is in them is what was sealed.

    Args:
        first: The block to begin at; those before it are taken as right.
        progress: Called before each block: how many are done, how many there are.

    Transaction: none of its own; what is sealed does not change. Complexity: linear in what is
    sealed, some fifty microseconds for an entry. Round trips: two for each block.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), 0) FROM credits_seal")
        (last,) = cursor.fetchone()
    findings: list[Finding] = []
    for number in range(first, last + 1):
        if progress is not None:
            progress(number - first, last + 1 - first)
        try:
            for block in _blocks("number = %s", [number]):
                _read_block(block)
        except SealBroken as broken:
            findings.append(
                Finding(
                    invariant="sealed_entries_never_change",
                    sentence="The entries of a block, and what their postings say, are as sealed.",
                    subject=f"seal {number}",
                    wrong=str(broken),
                )
            )
            if len(findings) == MAX_FINDINGS:
                break
    return findings


def path_of(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes beside the way from leaf *index* up to the root, the lowest first."""
    if len(hashes) == 1:
        return []
    split = verifier.middle(len(hashes))
    left, right = hashes[:split], hashes[split:]
    if index < split:
        return [*path_of(left, index), verifier.root(right)]
    return [*path_of(right, index - split), verifier.root(left)]


def _last_block() -> _Block | None:
    return next(iter(_blocks("true ORDER BY number DESC LIMIT 1", [])), None)


def _blocks(condition: str, values: list[int | str | UUID | None]) -> list[_Block]:
    """Return the blocks that fulfil an SQL condition of this module."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, encode(previous, 'hex'), encode(root, 'hex'), encode(hash, 'hex'),"  # noqa: S608 - literals above
            " entries, sealed_at, salt, upto_epoch, upto_xid::text, upto_posting, upto_account"
            f" FROM credits_seal AS seal WHERE {condition}",
            values,
        )
        return [
            _Block(seal=Seal(*row[:6]), salt=row[6], upto=Place(*row[7:]))
            for row in cursor.fetchall()
        ]


def _settled_after(place: Place, limit: int) -> tuple[list[Line], datetime]:
    """Return the next settled entries in the order of seals, and when they were read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp(), line.*"
            " FROM (SELECT) AS always LEFT JOIN credits_in_order(%s, %s::xid8, %s, %s, %s) AS line"
            " ON true",
            [*place, limit],
        )
        rows = cursor.fetchall()
    # Without an entry there is one row, of the time alone.
    return [Line(*row[1:]) for row in rows if row[1] is not None], rows[0][0]


def _read_block(block: _Block) -> tuple[list[Line], list[bytes]]:
    """Return a block's entries and the hashes of their leaves, which are those that were sealed.

    Raises:
        SealBroken: They are not.
    """
    number = block.seal.number
    earlier = _blocks("number = %s", [number - 1])
    lines, _ = _settled_after(earlier[0].upto if earlier else BEFORE_ALL, block.seal.entries)
    hashes = _hashes_of(lines, block.salt)
    if (
        not hashes
        or lines[-1].place != block.upto
        or verifier.root(hashes).hex() != block.seal.root
        or verifier.seal_hash(block.seal.as_json()) != block.seal.hash
    ):
        raise SealBroken(number=number)
    return lines, hashes


def _hashes_of(lines: Sequence[Line], salt: bytes) -> list[bytes]:
    return [verifier.leaf_hash(line.leaf(salt)) for line in lines]
