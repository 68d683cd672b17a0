"""Double-entry postings: any number of legs, recorded once, adding up to zero.

The rules are constraints, triggers and one SQL function per call (`migrations/sql`); this module
checks what it can without a round trip and gives the rest names and messages.

Everything that writes belongs to the caller's transaction and is one round trip. It locks the
stored accounts that it names, in ascending id, until that transaction ends; derived accounts are
never locked. Amounts are whole micro-credits. A repeated request (same reference, same content)
writes nothing and returns the first posting, marked as replayed.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NewType
from uuid import UUID

from credits import round_trip
from credits.amounts import MAX_AMOUNT
from credits.errors import (
    InvalidLegs,
    InvalidReference,
    InvalidText,
    UnbalancedLegs,
    UnknownAccount,
    UnknownPosting,
)

AccountId = NewType("AccountId", int)

ISSUANCE = AccountId(1)
"""Where every credit comes from. Derived; its balance is the supply, negated."""

FEES = AccountId(2)
"""Where the platform's fees go. Derived, so that it is no bottleneck."""

ESCROW = "escrow"
"""The kind of the accounts that `credits.escrow` opens and ends."""

MAX_LEGS = 500
"""Legs of one posting. A settlement with a royalty graph of 256 versions fits twice."""

MAX_POSTINGS = 1_000
"""Postings of one batch; its account locks are held until the caller commits."""

MAX_REFERENCE_CHARACTERS = 200
MAX_KIND_CHARACTERS = 40
MAX_SUBJECT_CHARACTERS = 200
MAX_MEMO_CHARACTERS = 1_000
MAX_LINES = 10_000
"""Lines of one page of a statement."""


@dataclass(frozen=True, slots=True)
class Leg:
    """What one account gets (positive) or gives (negative), in micro-credits."""

    account: AccountId
    amount: int


@dataclass(frozen=True, slots=True)
class NewPosting:
    """A posting of a batch; the fields are the arguments of `post`."""

    reference: str
    kind: str
    legs: Sequence[Leg]
    memo: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting that stands in the ledger.

    Attributes:
        id: Its id.
        replayed: True where an earlier, equal request made it and this call wrote nothing.
    """

    id: UUID
    replayed: bool


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One entry, seen from its account.

    Attributes:
        posting_id: The posting it belongs to.
        kind: What the posting was.
        amount: Micro-credits; negative when the account gave.
        balance_after: What the account held after it, in micro-credits.
        subject: What the posting was about; opaque here.
        memo: What a person wrote.
        created_at: When; never earlier than the line before.
        seq: The line's number in the account, from 1, without gaps; the cursor of the next page.
    """

    posting_id: UUID
    kind: str
    amount: int
    balance_after: int
    subject: str
    memo: str
    created_at: datetime
    seq: int


def post(
    *, reference: str, kind: str, legs: Sequence[Leg], memo: str = "", subject: str = ""
) -> Posted:
    """Record *legs* together, under a reference that can never name another posting.

    Args:
        reference: The idempotency key of the effect, such as `end:task_…`; 1 to 200 characters.
        kind: What kind of posting, for statements; 1 to 40 characters.
        legs: 2 to `MAX_LEGS`, each account once, adding up to zero. Their order means nothing.
        memo: A person's words; up to 1,000 characters.
        subject: What it is about, such as `task_…`; opaque here.

    Raises:
        InvalidLegs, UnbalancedLegs, InvalidReference, InvalidText: Found before the round trip.
        InsufficientCredits: An account would fall below its floor.
        AccountClosed, UnknownAccount: A leg names one.
        BalanceTooLarge: An account would hold more than `MAX_AMOUNT`.
        ReferenceReused: The reference names a posting with other content.

    Transaction: the caller's. Locks: the stored accounts, in ascending id, and the reference, for
    which a rival waits. Round trips: one.
    """
    check_texts(reference=reference, kind=kind, memo=memo, subject=subject)
    _check_legs(legs)
    ordered = _in_order(legs)
    new = round_trip.new_id()
    written = round_trip.write(
        "SELECT credits_post(%s, %s, %s, %s, %s, %s, %s::bigint[], %s::bigint[])",
        [
            new,
            reference,
            kind,
            digest(kind, ordered, memo, subject),
            memo,
            subject,
            round_trip.array(account for account, _ in ordered),
            round_trip.array(amount for _, amount in ordered),
        ],
    )
    return Posted(id=written, replayed=written != new)


def post_many(postings: Sequence[NewPosting]) -> list[Posted]:
    """Record *postings* as if one after the other, all or none.

    Every floor is kept after every posting, so one may spend what an earlier one brought. All
    accounts of the batch are locked once. Together they move at most `MAX_AMOUNT`.

    Returns:
        One for each, in order. A posting that repeats an earlier one is marked as replayed.

    Raises:
        InvalidLegs: Also for more than `MAX_POSTINGS`, or when together they move too much.
        UnbalancedLegs, InvalidReference, InvalidText, InsufficientCredits, AccountClosed,
            UnknownAccount, BalanceTooLarge, ReferenceReused: As `post`; nothing is written.

    Transaction: the caller's. Locks: as `post`, over the whole batch. Round trips: one.
    """
    check_number(len(postings))
    for one in postings:
        check_posting(one)
    legs = [(place, leg) for place, one in enumerate(postings, start=1) for leg in one.legs]
    check_total(leg.amount for _, leg in legs)
    if not postings:
        return []
    ids = [round_trip.new_id() for _ in postings]
    written = round_trip.write(
        "SELECT credits_post_many(%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::text[],"
        " %s::text[], %s::integer[], %s::bigint[], %s::bigint[])",
        [
            round_trip.array(ids),
            round_trip.text_array([one.reference for one in postings]),
            round_trip.text_array([one.kind for one in postings]),
            round_trip.bytes_array([digest_of(one) for one in postings]),
            round_trip.text_array([one.memo for one in postings]),
            round_trip.text_array([one.subject for one in postings]),
            round_trip.array(place for place, _ in legs),
            round_trip.array(leg.account for _, leg in legs),
            round_trip.array(leg.amount for _, leg in legs),
        ],
    )
    return [Posted(id=got, replayed=got != new) for got, new in zip(written, ids, strict=True)]


def reverse(posting: UUID, *, reference: str, memo: str = "") -> Posted:
    """Take a posting back: post its entries with their signs turned, as kind `reversal`.

    Raises:
        UnknownPosting: There is no such posting.
        AlreadyReversed: It was taken back before, under another reference.
        InsufficientCredits, AccountClosed: What it paid has been spent, or its account was closed,
            as an ended escrow is.
        ReferenceReused, InvalidReference, InvalidText: As `post`.

    Transaction: the caller's. Locks: that posting, against others who take it back; then as `post`.
    Round trips: one.
    """
    check_texts(reference=reference, kind="reversal", memo=memo, subject="")
    new = round_trip.new_id()
    written = round_trip.write(
        "SELECT credits_reverse(%s, %s, %s, %s, %s)",
        [new, posting, reference, digest("reversal", str(posting), memo), memo],
    )
    return Posted(id=written, replayed=written != new)


def open_account(
    *, kind: str, owner: UUID | None, reference: str = "", floor: int = 0
) -> AccountId:
    """Return the open account of this kind, owner and reference; open it where there is none.

    Args:
        kind: What the account is for; 1 to 40 characters.
        owner: Whose it is; opaque here. None for nobody's.
        reference: Tells accounts of one kind and owner apart; up to 200 characters.
        floor: The lowest balance it may reach, in micro-credits: zero, or a negative overdraft.
            It binds from the opening; an account that is open keeps the floor it has.

    Raises:
        InvalidText: A text is too long or cannot be stored.
        ValueError: The floor is positive or below `-MAX_AMOUNT`, or the kind is `ESCROW`.

    Transaction: the caller's. Locks: none on an account that is open. Round trips: one.
    """
    check_text("kind", kind, MAX_KIND_CHARACTERS, least=1)
    check_text("reference", reference, MAX_REFERENCE_CHARACTERS)
    if kind == ESCROW:
        raise ValueError("an escrow is opened by funding it (credits.escrow.fund)")
    if not -MAX_AMOUNT <= floor <= 0:
        raise ValueError("a floor is zero or a bounded overdraft")
    return AccountId(
        round_trip.write(
            "SELECT credits_open_account(%s, %s::uuid, %s, %s)", [kind, owner, reference, floor]
        )
    )


def find_account(*, kind: str, owner: UUID | None, reference: str = "") -> AccountId | None:
    """Return the open account of this kind, owner and reference. Round trips: one."""
    # IS NOT DISTINCT FROM would say it in one, and would read the whole table.
    whose, values = ("IS NULL", []) if owner is None else ("= %s", [owner])
    found = round_trip.row(
        f"SELECT id FROM credits_account WHERE owner {whose}"  # noqa: S608 - a literal above
        " AND kind = %s AND reference = %s AND closed_at IS NULL",
        [*values, kind, reference],
    )
    return None if found is None else AccountId(found[0])


def close_account(account: AccountId) -> None:
    """Close an account for good. Closing one that is closed changes nothing.

    Raises:
        UnknownAccount: There is no such account.
        AccountNotEmpty: It does not stand at zero.
        AccountStaysOpen: It is derived.

    Transaction: the caller's. Locks: the account. Round trips: one.
    """
    check_known(account)
    round_trip.write("SELECT credits_close_account(%s)", [account])


# A derived account's balance is its last fold and the visible entries above it (credits.rollup).
_BALANCE = "CASE mode WHEN 'stored' THEN balance ELSE credits_derived_balance(id) END"
SELECT_BALANCE = f"SELECT {_BALANCE} FROM credits_account WHERE id = %s"  # noqa: S608 - a constant
"""What `balance` sends."""


def balance(account: AccountId) -> int:
    """Return what *account* holds, in micro-credits.

    Raises:
        UnknownAccount: There is no such account.

    Complexity: one row for a stored account; for a derived one also its entries since the last
    roll-up, one index range. Round trips: one.
    """
    row = round_trip.row(SELECT_BALANCE, [account])
    if row is None:
        raise UnknownAccount(account=account)
    return int(row[0])


def balances(accounts: Iterable[AccountId]) -> dict[AccountId, int]:
    """Return what each of *accounts* holds, in micro-credits; unknown ones are left out.

    Round trips: one.
    """
    rows = round_trip.rows(
        f"SELECT id, {_BALANCE} FROM credits_account WHERE id = ANY (%s::bigint[])",  # noqa: S608 - a constant
        [list(accounts)],
    )
    return {AccountId(account): held for account, held in rows}


def held_by(owner: UUID, kind: str) -> int:
    """Return what *owner* holds in open accounts of a kind, in micro-credits. Round trips: one."""
    return position(owner).get(kind, 0)


def position(owner: UUID) -> dict[str, int]:
    """Return what *owner* holds in open accounts, in micro-credits by kind of account.

    Round trips: one, for a page that shows several kinds at one instant.
    """
    return {
        kind: int(held)
        for kind, held in round_trip.rows(
            f"SELECT kind, sum({_BALANCE}) FROM credits_account"  # noqa: S608 - a constant
            " WHERE owner = %s AND closed_at IS NULL GROUP BY kind",
            [owner],
        )
    }


def balance_at(account: AccountId, at: datetime) -> int:
    """Return what *account* held at an instant, in micro-credits, entries of that instant included.

    Raises:
        UnknownAccount: There is no such account.

    Complexity: logarithmic in the entries of a stored account; of a derived account, its folds
    since then and the entries of a few of them. Round trips: one.
    """
    row = round_trip.row("SELECT credits_balance_at(%s, %s)", [account, at])
    if row is None or row[0] is None:
        raise UnknownAccount(account=account)
    return int(row[0])


def statement(
    account: AccountId,
    *,
    limit: int,
    before: int | None = None,
    kinds: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[StatementLine]:
    """Return the newest lines of *account*, newest first.

    Lines never change and new ones come on top, so paging skips nothing and shows nothing twice. A
    derived account shows an entry once every transaction that began before it has ended.

    Args:
        account: Any account, also a closed one.
        limit: The most lines, 1 to `MAX_LINES`.
        before: The `seq` of the last line of the page before; None for the first page.
        kinds: Only postings of these kinds; None for all.
        since: Only lines from this instant on.
        until: Only lines before this instant.

    Raises:
        UnknownAccount: There is no such account.

    Complexity: one backward index scan; of a derived account, also its entries since the last
    roll-up, or from the next fold down to *before*. Round trips: one.
    """
    check_known(account)
    if not 1 <= limit <= MAX_LINES:
        raise ValueError(f"a page has 1 to {MAX_LINES} lines")
    lines = round_trip.rows(
        "SELECT * FROM credits_statement(%s, %s, %s, %s::text[], %s, %s)",
        [account, before, limit, None if kinds is None else list(kinds), since, until],
    )
    return [StatementLine(*line) for line in lines]


def entries_of(posting: UUID) -> list[Leg]:
    """Return the legs of a posting, by ascending account.

    Raises:
        UnknownPosting: There is no such posting.

    Round trips: one.
    """
    rows = round_trip.rows(
        "SELECT account_id, amount FROM credits_entry WHERE posting_id = %s ORDER BY account_id",
        [posting],
    )
    if not rows:
        raise UnknownPosting(posting=posting)
    return [Leg(AccountId(account), amount) for account, amount in rows]


def owners_beside(account: AccountId, postings: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Return who owns the other accounts of *postings*: of a transfer, its other side.

    Complexity: the entries of the postings; meant for those with two. Round trips: one.
    """
    rows = round_trip.rows(
        "SELECT entry.posting_id, array_agg(account.owner) FROM credits_entry AS entry"
        " JOIN credits_account AS account ON account.id = entry.account_id"
        " WHERE entry.posting_id = ANY (%s) AND entry.account_id <> %s"
        " AND account.owner IS NOT NULL GROUP BY entry.posting_id",
        [list(postings), account],
    )
    return dict(rows)


def digest(*request: object) -> bytes:
    """Return the SHA-256 of a request, which tells a repetition from another request."""
    # The number is the version of this form. A later one must still compare with what is stored.
    return sha256(_as_json([1, *request]).encode()).digest()


_as_json = json.JSONEncoder(separators=(",", ":")).encode


def digest_of(one: NewPosting) -> bytes:
    """Return the digest of a posting, by which `post` and a batch know it again."""
    return digest(one.kind, _in_order(one.legs), one.memo, one.subject)


def check_number(postings: int) -> None:
    """Check that a batch may have so many postings.

    Raises:
        InvalidLegs: More than `MAX_POSTINGS`.
    """
    if postings > MAX_POSTINGS:
        raise InvalidLegs("too_many_postings", f"a batch has at most {MAX_POSTINGS} postings")


def check_posting(one: NewPosting) -> None:
    """Check what can be seen of a posting without a round trip.

    Raises:
        InvalidLegs, UnbalancedLegs, UnknownAccount, InvalidReference, InvalidText: It is wrong.
    """
    check_texts(reference=one.reference, kind=one.kind, memo=one.memo, subject=one.subject)
    _check_legs(one.legs)


def check_total(amounts: Iterable[int]) -> None:
    """Check that what is moved together is no more than `MAX_AMOUNT`.

    A running balance inside a batch stays within a bigint only if the batch as a whole does.

    Raises:
        InvalidLegs: The positive ones of *amounts* are more.
    """
    if sum(amount for amount in amounts if amount > 0) > MAX_AMOUNT:
        raise InvalidLegs("amount_too_large", f"postings move at most {MAX_AMOUNT} micro-credits")


def check_amount(amount: object, account: int | None = None) -> None:
    """Check that *amount* is an int of micro-credits that can stand in a leg.

    Raises:
        InvalidLegs: Not an int, zero, or beyond `MAX_AMOUNT` in either direction.
    """
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise InvalidLegs(
            "not_an_integer", f"{amount!r:.40} is not a number of micro-credits", account=account
        )
    if amount == 0:
        raise InvalidLegs("zero_amount", "a leg of zero moves nothing", account=account)
    if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
        raise InvalidLegs(
            "amount_too_large", f"a leg is at most {MAX_AMOUNT} micro-credits", account=account
        )


def check_known(account: int) -> None:
    """Check that *account* is an id that an account could have; PostgreSQL looks for the others.

    Raises:
        UnknownAccount: No bigint holds it.
    """
    if not -(2**63) <= account < 2**63:
        raise UnknownAccount(account=account)


def check_texts(*, reference: str, kind: str, memo: str, subject: str) -> None:
    """Check the texts of a posting, as `check_text` does.

    Raises:
        InvalidReference, InvalidText: One is wrong.
    """
    check_text("reference", reference, MAX_REFERENCE_CHARACTERS, least=1)
    check_text("kind", kind, MAX_KIND_CHARACTERS, least=1)
    check_text("memo", memo, MAX_MEMO_CHARACTERS)
    check_text("subject", subject, MAX_SUBJECT_CHARACTERS)


def check_text(field: str, text: str, most: int, *, least: int = 0) -> None:
    """Check that PostgreSQL can store *text* and that its length is within *least* and *most*.

    Raises:
        InvalidReference: *field* is `reference` and the text is wrong.
        InvalidText: Another field's text is wrong.
    """
    wrong = InvalidReference if field == "reference" else InvalidText
    if not least <= len(text) <= most:
        raise wrong(field, f"has {least} to {most} characters")
    try:
        # Half of a surrogate pair has no UTF-8, and PostgreSQL stores no NUL.
        storable = b"\0" not in text.encode()
    except UnicodeEncodeError:
        storable = False
    if not storable:
        raise wrong(field, "contains a character that cannot be stored")


def _check_legs(legs: Sequence[Leg]) -> None:
    if len(legs) < 2:  # noqa: PLR2004 - double entry
        raise InvalidLegs("too_few_legs", "a posting has at least two legs")
    if len(legs) > MAX_LEGS:
        raise InvalidLegs("too_many_legs", f"a posting has at most {MAX_LEGS} legs")
    seen: set[int] = set()
    for leg in legs:
        check_known(leg.account)
        check_amount(leg.amount, leg.account)
        if leg.account in seen:
            raise InvalidLegs(
                "account_twice", "a posting names each account once", account=leg.account
            )
        seen.add(leg.account)
    total = sum(leg.amount for leg in legs)
    if total != 0:
        raise UnbalancedLegs(total=total)
    check_total(leg.amount for leg in legs)


def _in_order(legs: Sequence[Leg]) -> list[tuple[int, int]]:
    return sorted((leg.account, leg.amount) for leg in legs)
