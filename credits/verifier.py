"""Checks an export of the ledger, or the proof of one entry, offline.

    python credits/verifier.py FILE [--seal NUMBER:HASH]... [--blocks FILE]...

This file needs Python's standard library and nothing else of this repository, so that it can be
read, copied and run by whoever does not trust the ledger's operator. The ledger hashes with it.

What is hashed (SHA-256; hexadecimal is lower case):

- A document is JSON (RFC 8785): keys sorted, no spaces, UTF-8. Its values are strings, or null
  where the ledger has nothing; numbers are decimal, times like `2026-11-23T08:00:00.000000Z`.
- The leaf of an entry is the document of `LEAF_FIELDS`: the entry, what its posting says, and a
  nonce, HMAC-SHA256(salt of the block, `posting:account`). Without it, whoever knows their own
  entry could guess, and confirm by its hash, the entry beside it. The digest of the posting's
  request would tell the same, so it is exported and not sealed.
- The root of a block is that of RFC 6962: a leaf hashes as 0x00 and the leaf, a node as 0x01, its
  left and its right hash; the left side of n leaves is the largest power of two below n.
- The hash of a block is that of 0x02 and the document of `SEAL_FIELDS`; `previous` is the hash of
  the block before, zeros for block 1.

An export is JSON Lines: a head; postings by (epoch, xid, id), each followed by its entries by
account; each seal right before the first entry of its block; accounts by id; an end that counts.

A hash that was noted vouches for its block and for all before it. So a proof of an earlier block
needs the public blocks from its own up to the noted one, as lines of JSON: each line a block, or a
page of blocks as the API gives it.
"""

import argparse
import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TextIO

FORMAT = 1
"""The version of everything described above."""

HEAD = {"type": "hansa-ledger-export", "format": FORMAT}
PROOF = "hansa-ledger-proof"

POSTING_FIELDS = ("kind", "reference", "memo", "subject", "reverses")
ENTRY_FIELDS = (
    "account",
    "amount",
    "seq",
    "balance_after",
    "epoch",
    "xid",
    "created_at",
    "posting",
)
LEAF_FIELDS = (*POSTING_FIELDS, *ENTRY_FIELDS, "posting_created_at", "format", "nonce")
SEAL_FIELDS = ("number", "previous", "root", "entries", "sealed_at", "format")

NO_BLOCK = "0" * 64
"""The hash that block 1 names as the one before it."""

MAX_FINDINGS = 100
"""Findings of one run; where everything is wrong, the first hundred say so."""

LINES_PER_PROGRESS = 20_000

Record = Mapping[str, Any]
Trusted = Mapping[int, str]
"""Hashes of blocks, by number, that were noted elsewhere, such as from the public list."""


class Malformed(Exception):
    """The file is no export and no proof, or not one of this format."""


# --- What is hashed -------------------------------------------------------------------------------


def document(values: Mapping[str, object]) -> str:
    """Return *values* as the canonical text that is hashed."""
    texts = {name: None if value is None else str(value) for name, value in values.items()}
    return json.dumps(texts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def nonce(salt: bytes, posting: str, account: int) -> str:
    """Return what blinds the leaf of one entry; one nonce tells nothing about another."""
    return hmac.new(salt, f"{posting}:{account}".encode(), "sha256").hexdigest()


def leaf(posting: Record, entry: Record, salt: bytes) -> str:
    """Return the leaf of an entry; posting and entry are lines of an export."""
    return document(
        {name: posting[name] for name in POSTING_FIELDS}
        | {name: entry[name] for name in ENTRY_FIELDS}
        | {
            "posting_created_at": posting["created_at"],
            "format": FORMAT,
            "nonce": nonce(salt, entry["posting"], entry["account"]),
        }
    )


def leaf_hash(text: str) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\0" + text.encode()).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node of the tree."""
    return hashlib.sha256(b"\1" + left + right).digest()


def seal_hash(seal: Record) -> str:
    """Return the hash of a block, from its other columns."""
    values = {name: seal[name] for name in SEAL_FIELDS if name != "format"} | {"format": FORMAT}
    return hashlib.sha256(b"\2" + document(values).encode()).hexdigest()


def middle(size: int) -> int:
    """Return how many of *size* leaves, at least 2, stand on the left side of their tree."""
    return 1 << (size - 1).bit_length() - 1


def root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of leaves, of which there is at least one."""
    if len(hashes) == 1:
        return hashes[0]
    split = middle(len(hashes))
    return node_hash(root(hashes[:split]), root(hashes[split:]))


def root_by_path(start: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a leaf's hash and its path lead to; None for a path of no such tree.

    Args:
        start: The hash of the leaf.
        index: Its place, from 0.
        size: How many leaves the tree has.
        path: The hashes beside the way up, from the leaf's own neighbour on.
    """
    if not 0 <= index < size:
        return None
    # On the way down from the root: which side the leaf is on.
    sides = []
    while size > 1:
        split = middle(size)
        sides.append(index >= split)
        index, size = (index - split, size - split) if index >= split else (index, split)
    if len(path) != len(sides):
        return None
    reached = start
    for is_right, beside in zip(reversed(sides), path, strict=True):
        reached = node_hash(beside, reached) if is_right else node_hash(reached, beside)
    return reached


# --- One proof ------------------------------------------------------------------------------------


def check_proof(proof: Record, trusted: Trusted | None = None) -> list[str]:
    """Return what is wrong with a proof; nothing when its entry is in its block.

    Args:
        proof: As `credits.seals.Proof.as_json` gives it.
        trusted: Where it names the proof's block, that must have this hash.

    Raises:
        Malformed: It is not such a document.
    """
    if proof.get("type") != PROOF or proof.get("format") != FORMAT:
        raise Malformed(f"not a proof of format {FORMAT}")
    text, index, path, seal = (proof.get(name) for name in ("leaf", "index", "path", "seal"))
    if not isinstance(text, str) or not _is_text(text):
        raise Malformed("leaf is no text")
    if type(index) is not int or not isinstance(seal, dict):
        raise Malformed("a proof has an index and a seal")
    if not isinstance(path, list) or not all(_is_hash(one) for one in path):
        raise Malformed("a path is a list of hashes")
    _check_shape(seal, _SEAL_SHAPE)
    findings = []
    fields = _leaf_fields(text)
    if set(fields) != set(LEAF_FIELDS) or document(fields) != text:
        findings.append("the leaf is not written as a leaf is")
    reached = root_by_path(
        leaf_hash(text), index, seal["entries"], [bytes.fromhex(p) for p in path]
    )
    if reached is None or reached.hex() != seal["root"]:
        findings.append("the path does not lead from the leaf to the root of the block")
    findings += _check_seal_hash(seal, trusted or {})
    return findings


def _leaf_fields(text: str) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("the leaf is no JSON") from error
    if not isinstance(fields, dict):
        raise Malformed("the leaf is no JSON object")
    return fields


def check_blocks(proof: Record, blocks: Sequence[Record], trusted: Trusted) -> list[str]:
    """Return what is wrong with the public blocks that lead from a proof's to trusted ones.

    Args:
        proof: One that `check_proof` found to be right.
        blocks: As `credits.seals.Seal.as_json` gives them, in any order; the proof's own need not
            be among them.
        trusted: Blocks that must be there and have these hashes.
    """
    own = proof["seal"]
    chain = {own["number"]: own}
    findings = []
    for block in blocks:
        number = block["number"]
        if chain.setdefault(number, block)["hash"] != block["hash"]:
            findings.append(f"seal {number}: there are two, with different hashes")
    numbers = sorted(chain)
    for number in numbers:
        findings += _check_seal_hash(chain[number], trusted)
    for number, following in pairwise(numbers):
        if following != number + 1:
            findings.append(f"seal {number + 1}: missing between the blocks that are there")
        elif chain[following]["previous"] != chain[number]["hash"]:
            findings.append(f"seal {following}: does not name the block before it")
    for number in sorted(set(trusted) - set(numbers)):
        findings.append(f"seal {number}: you trust its hash, and it is not among the blocks")
    return findings


def _check_seal_hash(seal: Record, trusted: Trusted) -> Iterator[str]:
    number = seal["number"]
    if seal_hash(seal) != seal["hash"]:
        yield f"seal {number}: its hash is not that of what it says"
    if trusted.get(number, seal["hash"]) != seal["hash"]:
        yield f"seal {number}: its hash is not the one that you trust"


# --- A whole export -------------------------------------------------------------------------------


@dataclass(slots=True)
class Report:
    """What a check of an export found.

    Attributes:
        findings: What is wrong, at most `MAX_FINDINGS`; none when the books are right.
        postings: How many were read.
        entries: How many were read.
        accounts: How many were read.
        seals: How many were read.
        sealed: How many of the entries are in blocks.
        head: The hash of the last block, which stands for everything sealed; empty without one.
    """

    findings: list[str] = field(default_factory=list)
    postings: int = 0
    entries: int = 0
    accounts: int = 0
    seals: int = 0
    sealed: int = 0
    head: str = ""

    def find(self, finding: str) -> None:
        """Keep a finding, unless there are too many already."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


@dataclass(slots=True)
class _Account:
    """What the entries of one account say about it."""

    total: int = 0
    entries: int = 0
    seq: int = 0
    balance: int = 0
    lowest: int = 0
    # Entries that came before a lower number of the same account: two transactions may lock an
    # account in another order than that in which they began.
    early: dict[int, tuple[int, int]] = field(default_factory=dict)


def check_export(
    lines: Iterable[str],
    trusted: Trusted | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Check an export line by line: every sum, balance, number and floor, and the chain of seals.

    Args:
        lines: The export's lines.
        trusted: Blocks that must be there and have these hashes.
        progress: Called with the number of lines read, now and then.

    Raises:
        Malformed: It is no export, or a line of it cannot be read.

    Complexity: linear in the lines; memory for each account and for one block.
    """
    check = _ExportCheck(trusted or {})
    number = 0
    for number, line in enumerate(lines, start=1):
        try:
            check.take(json.loads(line))
        except (ValueError, RecursionError, Malformed) as error:
            raise Malformed(f"line {number}: {error}") from error
        if progress is not None and number % LINES_PER_PROGRESS == 0:
            progress(number)
    if number == 0:
        raise Malformed("the file is empty")
    return check.end()


class _ExportCheck:
    def __init__(self, trusted: Trusted) -> None:
        self.report = Report()
        self.trusted = trusted
        self.accounts: dict[int, _Account] = {}
        self.posting: Record | None = None
        self.place: tuple[int, int, str] = (0, 0, "")
        self.posting_total = 0
        self.posting_accounts: list[int] = []
        self.seal: Record | None = None
        self.leaves: list[bytes] = []
        self.last_account: int | None = None
        self.began = False
        self.ended = False

    def take(self, record: object) -> None:
        if not isinstance(record, dict):
            raise Malformed("no JSON object")
        if not self.began:
            if record != HEAD:
                raise Malformed(f"no export of format {FORMAT}")
            self.began = True
            return
        if self.ended:
            raise Malformed("a line after the end")
        kind = record.get("type")
        if not isinstance(kind, str) or kind not in _SHAPES:
            raise Malformed(f"a line of unknown type {kind!r:.40}")
        _check_shape(record, _SHAPES[kind])
        if self.last_account is not None and kind not in {"account", "end"}:
            raise Malformed(f"a {kind} after the accounts")
        {
            "posting": self._begin_posting,
            "entry": self._take_entry,
            "seal": self._begin_seal,
            "account": self._take_account,
            "end": self._take_end,
        }[kind](record)

    def end(self) -> Report:
        if not self.ended:
            self.report.find("the export is cut off: it has no end")
        for number in sorted(set(self.trusted) - set(range(1, self.report.seals + 1))):
            self.report.find(f"seal {number}: you trust its hash, and it is missing")
        return self.report

    def _begin_posting(self, posting: Record) -> None:
        self._end_posting()
        place = (posting["epoch"], int(posting["xid"]), posting["id"])
        if place <= self.place:
            self.report.find(f"posting {posting['id']}: stands twice, or out of order")
        self.place = place
        self.posting = posting
        self.posting_total = 0
        self.posting_accounts = []
        self.report.postings += 1

    def _end_posting(self) -> None:
        if self.posting is None:
            return
        if self.posting_total != 0 or len(self.posting_accounts) < 2:  # noqa: PLR2004 - double entry
            self.report.find(
                f"posting {self.posting['id']}: {len(self.posting_accounts)} entries that add up to"
                f" {self.posting_total}"
            )
        self.posting = None

    def _take_entry(self, entry: Record) -> None:
        posting, account = self.posting, entry["account"]
        if posting is None or entry["posting"] != posting["id"]:
            raise Malformed("an entry that does not follow its posting")
        if (entry["epoch"], entry["xid"]) != (posting["epoch"], posting["xid"]):
            self.report.find(f"posting {posting['id']}: an entry is of another transaction")
        if self.posting_accounts and account <= self.posting_accounts[-1]:
            self.report.find(f"posting {posting['id']}: account {account} twice, or out of order")
        if entry["amount"] == 0:
            self.report.find(f"posting {posting['id']}: an entry of zero")
        self.posting_accounts.append(account)
        self.posting_total += entry["amount"]
        self.report.entries += 1
        self._count(entry)
        if self.seal is not None:
            self.leaves.append(leaf_hash(leaf(posting, entry, bytes.fromhex(self.seal["salt"]))))
            if len(self.leaves) == self.seal["entries"]:
                self._end_seal()

    def _count(self, entry: Record) -> None:
        account = self.accounts.setdefault(entry["account"], _Account())
        account.total += entry["amount"]
        account.entries += 1
        seq, after = entry["seq"], entry["balance_after"]
        if (seq is None) != (after is None):
            raise Malformed("an entry with a number and no balance, or the other way round")
        if seq is None:
            return
        if seq <= account.seq or seq in account.early:
            self.report.find(f"account {entry['account']}: two entries have number {seq}")
        account.early[seq] = (entry["amount"], after)
        while (following := account.early.pop(account.seq + 1, None)) is not None:
            amount, after = following
            account.seq += 1
            if account.balance + amount != after:
                self.report.find(
                    f"account {entry['account']}: entry {account.seq} ends at {after}, not at"
                    f" {account.balance + amount}"
                )
            account.balance = after
            account.lowest = min(account.lowest, after)

    def _begin_seal(self, seal: Record) -> None:
        number = seal["number"]
        self._end_seal()
        self.report.seals += 1
        if number != self.report.seals:
            self.report.find(f"seal {number}: stands where seal {self.report.seals} should")
        if seal["previous"] != (self.report.head or NO_BLOCK):
            self.report.find(f"seal {number}: does not name the block before it")
        if self.report.entries != self.report.sealed:
            self.report.find(f"seal {number}: entries before it are in no block")
        for finding in _check_seal_hash(seal, self.trusted):
            self.report.find(finding)
        self.report.head = seal["hash"]
        self.seal = seal
        self.leaves = []

    def _end_seal(self) -> None:
        """Compare what was read of a block with its root; only the last block can fall short."""
        if self.seal is None:
            return
        number, entries = self.seal["number"], self.seal["entries"]
        if len(self.leaves) != entries:
            self.report.find(f"seal {number}: {entries} entries sealed, {len(self.leaves)} there")
        elif root(self.leaves).hex() != self.seal["root"]:
            self.report.find(f"seal {number}: its entries are not those that were sealed")
        self.report.sealed += len(self.leaves)
        self.seal = None

    def _take_account(self, account: Record) -> None:
        number = account["id"]
        self._end_posting()
        self._end_seal()
        if self.last_account is not None and number <= self.last_account:
            self.report.find(f"account {number}: stands twice, or out of order")
        self.last_account = number
        self.report.accounts += 1
        said = self.accounts.pop(number, None) or _Account()
        is_stored = account["mode"] == "stored"
        if account["balance"] != said.total:
            self.report.find(
                f"account {number}: balance {account['balance']}, entries add up to {said.total}"
            )
        if (
            said.early
            or said.seq != (said.entries if is_stored else 0)
            or said.seq != account["seq"]
        ):
            self.report.find(
                f"account {number}: seq {account['seq']}, {said.entries} entries, numbered"
                f" without a gap up to {said.seq}"
            )
        if is_stored and (account["floor"] is None or said.lowest < account["floor"]):
            self.report.find(f"account {number}: was at {said.lowest}, floor {account['floor']}")
        if account["closed_at"] is not None and account["balance"] != 0:
            self.report.find(f"account {number}: closed with {account['balance']}")

    def _take_end(self, end: Record) -> None:
        self._end_posting()
        self._end_seal()
        self.ended = True
        for number in sorted(self.accounts):
            self.report.find(f"account {number}: has entries and is missing")
        for name in ("postings", "entries", "seals", "accounts"):
            if end[name] != getattr(self.report, name):
                self.report.find(
                    f"the end counts {end[name]} {name}, not {getattr(self.report, name)}"
                )


# --- The shapes of lines --------------------------------------------------------------------------

_HEXADECIMAL = set("0123456789abcdef")
_MOST_XID_DIGITS = 20  # an xid has 64 bits


def _is_text(value: object) -> bool:
    # Half of a surrogate pair has no UTF-8, so it has no hash.
    return isinstance(value, str) and not any(
        "\ud800" <= character <= "\udfff" for character in value
    )


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == len(NO_BLOCK) and set(value) <= _HEXADECIMAL


def _is_xid(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isdigit()
        and len(value) <= _MOST_XID_DIGITS
    )


# JSON's true is an int to isinstance.
_KINDS: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: type(value) is int,
    "integer or null": lambda value: value is None or type(value) is int,
    "count": lambda value: type(value) is int and value >= 0,
    "number from 1": lambda value: type(value) is int and value >= 1,
    "number from 1 or null": lambda value: value is None or (type(value) is int and value >= 1),
    "text": _is_text,
    "text or null": lambda value: value is None or _is_text(value),
    "hash": _is_hash,
    "transaction id": _is_xid,
    "mode": lambda value: value in ("stored", "derived"),
}

_SEAL_SHAPE = {
    "number": "number from 1",
    "previous": "hash",
    "root": "hash",
    "hash": "hash",
    "entries": "number from 1",
    "sealed_at": "text",
}
_SHAPES = {
    "posting": {
        "id": "text",
        "kind": "text",
        "reference": "text",
        "digest": "hash",
        "memo": "text",
        "subject": "text",
        "reverses": "text or null",
        "epoch": "integer",
        "xid": "transaction id",
        "created_at": "text",
    },
    "entry": {
        "posting": "text",
        "account": "integer",
        "amount": "integer",
        "seq": "number from 1 or null",
        "balance_after": "integer or null",
        "epoch": "integer",
        "xid": "transaction id",
        "created_at": "text",
    },
    "seal": _SEAL_SHAPE | {"salt": "hash"},
    "account": {
        "id": "integer",
        "kind": "text",
        "owner": "text or null",
        "reference": "text",
        "mode": "mode",
        "balance": "integer",
        "floor": "integer or null",
        "seq": "count",
        "opened_at": "text",
        "posted_at": "text or null",
        "closed_at": "text or null",
    },
    "end": {"postings": "count", "entries": "count", "seals": "count", "accounts": "count"},
}


def _check_shape(record: Record, shape: Mapping[str, str]) -> None:
    for name, kind in shape.items():
        if name not in record:
            raise Malformed(f"{name} is missing")
        if not _KINDS[kind](record[name]):
            raise Malformed(f"{name} is no {kind}")


# --- The command ----------------------------------------------------------------------------------

RIGHT, WRONG, UNREADABLE = 0, 1, 2
"""What the command ends with."""


def main(arguments: Sequence[str]) -> int:
    """Check the file that *arguments* name, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="verifier.py",
        description="Check an export of the ledger, or the proof of one entry. Needs no network.",
        epilog="Ends with 0 when all is right, 1 when something is wrong, 2 where it cannot tell.",
    )
    parser.add_argument("file", type=Path, help="what `ledger export` or the API gave you")
    parser.add_argument(
        "--seal",
        metavar="NUMBER:HASH",
        type=_trusted,
        action="append",
        default=[],
        help="a block's hash that you noted earlier, or have from somebody else; may be repeated",
    )
    parser.add_argument(
        "--blocks",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="public blocks from a proof's own up to one of --seal; may be repeated",
    )
    given = parser.parse_args(arguments)
    trusted: dict[int, str] = dict(given.seal)
    path = given.file
    try:
        blocks: list[Record] = []
        for path in given.blocks:
            with path.open(encoding="utf-8") as lines:
                blocks += _read_blocks(lines)
        path = given.file
        with path.open(encoding="utf-8") as lines:
            findings = _check_file(lines, trusted, blocks)
    except (OSError, UnicodeError, Malformed) as error:
        sys.stderr.write(f"{path}: {error}\n")
        return UNREADABLE
    for finding in findings:
        sys.stdout.write(f"WRONG  {finding}\n")
    return WRONG if findings else RIGHT


def _trusted(text: str) -> tuple[int, str]:
    number, _, noted = text.partition(":")
    if not number.isdecimal() or not _is_hash(noted):
        raise argparse.ArgumentTypeError("a seal is written NUMBER:HASH, such as 17:9f86…")
    return int(number), noted


def _read_blocks(lines: TextIO) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            for block in record.get("results", [record]):
                _check_shape(block, _SEAL_SHAPE)
                yield block
        except (ValueError, TypeError, AttributeError, RecursionError, Malformed) as error:
            raise Malformed(f"line {number} is neither a block nor a page of blocks") from error


def _check_file(lines: TextIO, trusted: Trusted, blocks: Sequence[Record]) -> list[str]:
    first = lines.readline()
    # A proof may be one line or many; the head of an export is one line.
    if '"hansa-ledger-export"' in first:
        if blocks:
            raise Malformed("an export has its blocks in it; --blocks is for a proof")
        return _check_export(chain([first], lines), trusted)
    try:
        proof = json.loads(first + lines.read())
    except (ValueError, RecursionError) as error:
        raise Malformed("neither an export nor a proof") from error
    if not isinstance(proof, dict):
        raise Malformed("neither an export nor a proof")
    return _check_one(proof, trusted, blocks)


def _check_export(lines: Iterable[str], trusted: Trusted) -> list[str]:
    def show(number: int) -> None:
        sys.stderr.write(f"\r{number} lines")

    is_watched = sys.stderr.isatty()
    report = check_export(lines, trusted, show if is_watched else None)
    if is_watched:
        sys.stderr.write("\r")
    sys.stdout.write(
        f"{report.postings} postings, {report.entries} entries, {report.accounts} accounts;"
        f" {report.sealed} entries in {report.seals} blocks\n"
    )
    if report.head:
        sys.stdout.write(f"last block {report.seals}:{report.head}\n")
    if not report.findings:
        sys.stdout.write("RIGHT  every posting, balance and block\n")
    return report.findings


def _check_one(proof: Record, trusted: Trusted, blocks: Sequence[Record]) -> list[str]:
    findings = check_proof(proof, trusted)
    seal = proof["seal"]
    number = seal["number"]
    if not findings:
        if set(trusted) - {number} and not blocks:
            raise Malformed(
                f"it is of block {number}; to compare another block's hash, give the public blocks"
                " from the one to the other with --blocks"
            )
        findings = check_blocks(proof, blocks, trusted)
    if not findings:
        for name, value in json.loads(proof["leaf"]).items():
            sys.stdout.write(f"{name:<20}{value!r}\n")
        sys.stdout.write(f"RIGHT  this entry is number {proof['index'] + 1} of its block\n")
    sys.stdout.write(f"block {number}:{seal['hash']}\n")
    # A hash vouches for the blocks before it, and not for what comes after.
    vouching = [one for one in trusted if one >= number]
    if not vouching:
        sys.stdout.write("Compare that hash with one that you trust, or give it with --seal.\n")
    elif not findings:
        sys.stdout.write(f"The hash of block {min(vouching)}, which you trust, vouches for it.\n")
    return findings


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
