"""Credits set aside for a piece of work: funded, split, and ended exactly once.

An escrow is a stored account of kind `escrow` with a floor of zero whose reference names the work;
there is one per work for ever. It pays out only what it holds, and an end leaves it at zero and
closed. Both ends, settle and refund, use the ledger reference `end:<work>`, so there is one. An
escrow that holds nothing any more, because all of it went to children, ends without a posting.

Like the ledger's calls, each one here is one round trip in the caller's transaction, and a repeated
request returns the first posting, marked as replayed. Amounts are whole micro-credits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any
from uuid import UUID

from credits import round_trip
from credits.errors import InvalidLegs
from credits.ledger import (
    MAX_LEGS,
    MAX_REFERENCE_CHARACTERS,
    AccountId,
    Leg,
    NewPosting,
    Posted,
    check_amount,
    check_known,
    check_number,
    check_posting,
    check_text,
    check_texts,
    check_total,
    digest,
    digest_of,
)


@dataclass(frozen=True, slots=True)
class End:
    """The end of one escrow; the fields are the arguments of `settle`."""

    work: str
    parts: Mapping[AccountId, int]
    kind: str = "settle"
    memo: str = ""
    subject: str = ""


END = "end:"
"""What stands in front of the work in the reference of its end."""

_SETTLE = "credits_settle"


def fund(
    *,
    work: str,
    owner: UUID | None,
    source: AccountId,
    amount: int,
    reference: str,
    kind: str = "fund",
    memo: str = "",
    subject: str = "",
) -> Posted:
    """Move *amount* from *source* into the escrow of *work*; the first funding opens it.

    Args:
        work: Names the work; opaque here; up to 196 characters.
        owner: Whose escrow it is (`ledger.held_by`); counts only when it is opened.
        source: The account that pays.
        amount: Micro-credits, positive. A further funding, under another reference, tops it up.
        reference: The idempotency key, such as `fund:task_…`.
        kind: What statements call it.
        memo: A person's words.
        subject: What it is about.

    Raises:
        InsufficientCredits: *source* cannot spend so much.
        AccountClosed: The work has ended, or *source* is closed.
        UnknownAccount, BalanceTooLarge, ReferenceReused, InvalidLegs, InvalidText: As for
            `ledger.post`.

    Transaction: the caller's. Locks: both accounts, in ascending id. Round trips: one.
    """
    check_known(source)
    _check_positive(amount)
    return _write(
        "credits_fund",
        work=work,
        reference=reference,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[owner, source, amount],
        request=[str(owner), source, amount],
    )


def fund_many(
    *,
    works: Mapping[str, int],
    owner: UUID | None,
    source: AccountId,
    reference: str,
    kind: str = "fund",
    memo: str = "",
    subject: str = "",
) -> Posted:
    """Move credits from *source* into the escrows of many works, in one posting; open new ones.

    Args:
        works: Micro-credits for the escrow of each work, positive; up to `MAX_LEGS` less one.
        owner: Whose the escrows are that are opened.
        source: The account that pays all of it.
        reference: The idempotency key.
        kind: What statements call it.
        memo: A person's words.
        subject: What it is about.

    Raises:
        InsufficientCredits: *source* cannot spend so much.
        AccountClosed: One of the works has ended, or *source* is closed.
        UnknownAccount, BalanceTooLarge, ReferenceReused, InvalidLegs, InvalidText: As for `fund`.

    Transaction: the caller's. Locks: all accounts, in ascending id. Round trips: one.
    """
    check_known(source)
    ordered = _check_works(works)
    return _write(
        "credits_fund_many",
        work=list(ordered),
        reference=reference,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[owner, source, round_trip.array(ordered.values())],
        request=[str(owner), source, *ordered.values()],
        casts=["uuid", "bigint", "bigint[]"],
    )


def allocate(
    *,
    work: str,
    child: str,
    owner: UUID | None,
    amount: int,
    reference: str,
    kind: str = "allocate",
    memo: str = "",
    subject: str = "",
) -> Posted:
    """Move *amount* from the escrow of *work* into that of *child*, which is opened if need be.

    Args:
        work: The work whose escrow pays.
        child: The work whose escrow receives.
        owner: Whose the child's escrow is.
        amount: Micro-credits, positive.
        reference: The idempotency key.
        kind: What statements call it.
        memo: A person's words.
        subject: What it is about.

    Raises:
        InsufficientCredits: *work* holds less.
        EscrowEmpty: *work* was never funded.
        AccountClosed: *work* or *child* has ended.
        ReferenceReused, InvalidLegs, InvalidText: As `ledger.post`.

    Transaction: the caller's. Locks: both escrows, in ascending id. Round trips: one.
    """
    _check_positive(amount)
    _check_work(child)
    return _write(
        "credits_allocate",
        work=work,
        reference=reference,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[child, owner, amount],
        request=[child, str(owner), amount],
    )


def allocate_many(
    *,
    work: str,
    children: Mapping[str, int],
    owner: UUID | None,
    reference: str,
    kind: str = "allocate",
    memo: str = "",
    subject: str = "",
) -> Posted:
    """Move credits from the escrow of *work* into those of many children, in one posting.

    Args:
        work: The work whose escrow pays.
        children: Micro-credits for the escrow of each child, as in `fund_many`.
        owner: Whose the children's escrows are, where they are opened.
        reference: The idempotency key.
        kind: What statements call it.
        memo: A person's words.
        subject: What it is about.

    Raises:
        InsufficientCredits: *work* holds less.
        EscrowEmpty: *work* was never funded.
        AccountClosed: *work* or one of the children has ended.
        BalanceTooLarge, ReferenceReused, InvalidLegs, InvalidText: As for `fund`.

    Transaction: the caller's. Locks: all escrows, in ascending id. Round trips: one.
    """
    ordered = _check_works(children)
    return _write(
        "credits_allocate_many",
        work=work,
        reference=reference,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[list(ordered), owner, round_trip.array(ordered.values())],
        request=[*ordered.items(), str(owner)],
        casts=["text[]", "uuid", "bigint[]"],
    )


def withdraw(
    *,
    work: str,
    to: AccountId,
    amount: int,
    reference: str,
    kind: str = "withdraw",
    memo: str = "",
    subject: str = "",
) -> Posted:
    """Move a part of what is held for *work* to an account; the escrow stays open.

    Raises:
        InsufficientCredits: *work* holds less.
        EscrowEmpty: *work* was never funded.
        AccountClosed: *work* has ended, or *to* is closed.
        UnknownAccount, BalanceTooLarge, ReferenceReused, InvalidLegs, InvalidText: As for
            `ledger.post`.

    Transaction: the caller's. Locks: both accounts, in ascending id. Round trips: one.
    """
    check_known(to)
    _check_positive(amount)
    return _write(
        "credits_withdraw",
        work=work,
        reference=reference,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[to, amount],
        request=[to, amount],
    )


def settle(
    *,
    work: str,
    parts: Mapping[AccountId, int],
    kind: str = "settle",
    memo: str = "",
    subject: str = "",
) -> Posted | None:
    """End the escrow of *work*: pay *parts*, which are exactly what it holds, and close it.

    Args:
        work: The work that ends.
        parts: Micro-credits for each account, positive; a part of zero is left out by the caller.
            None at all for an escrow that holds nothing any more.
        kind: What statements call it.
        memo: A person's words.
        subject: What it is about.

    Returns:
        The posting; None where there were no parts: the escrow is closed, and nothing is posted.

    Raises:
        EscrowEmpty: Never funded, or ended before by another settlement or a refund. With nothing
            posted, there is nothing to repeat: an end without parts comes once.
        EscrowMismatch: The parts, or none, are not what is held.
        AccountClosed, UnknownAccount, BalanceTooLarge: A part names such an account.
        InvalidLegs, InvalidText: As `ledger.post`.

    Transaction: the caller's. Locks: the accounts, in ascending id, inside one statement. Round
    trips: one.
    """
    end = End(work, parts, kind, memo, subject)
    if not parts:
        (made,) = settle_many([end])
        return made
    _check_end(end)
    ordered = dict(sorted(parts.items()))
    return _write(
        _SETTLE,
        work=work,
        reference=END + work,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[round_trip.array(ordered), round_trip.array(ordered.values())],
        request=_request_of(end),
        casts=["bigint[]", "bigint[]"],
    )


def settle_many(ends: Sequence[End], beside: Sequence[NewPosting] = ()) -> list[Posted | None]:
    """End several escrows and record postings beside them, in one call: all of it or nothing.

    It is as if each escrow were settled, one after the other, then each of *beside* posted, and at
    last each escrow closed that ends without parts: so one may spend what an earlier one brought.
    Together they move at most `MAX_AMOUNT`.

    Args:
        ends: What `settle` is told of each.
        beside: Other postings, which have to be made under the same order of locks.

    Returns:
        What `settle` returns for each end, in order, then a posting for each of *beside*. One that
        repeats an earlier one is marked as replayed.

    Raises:
        EscrowEmpty, EscrowMismatch: As `settle`, for any of the ends.
        InsufficientCredits, AccountClosed, UnknownAccount, BalanceTooLarge, ReferenceReused,
            InvalidLegs, UnbalancedLegs, InvalidText: As `ledger.post_many`.

    Transaction: the caller's. Locks: the accounts of all of it, in ascending id. Round trips: one.
    """
    check_number(len(ends) + len(beside))
    for end in ends:
        _check_end(end)
    for one in beside:
        check_posting(one)
    check_total(
        [amount for end in ends for amount in end.parts.values()]
        + [leg.amount for one in beside for leg in one.legs]
    )
    if not ends and not beside:
        return []
    paid = [end for end in ends if end.parts]
    # The parts alone: the database adds what the escrow gives.
    new = [
        NewPosting(
            END + end.work, end.kind, list(starmap(Leg, end.parts.items())), end.memo, end.subject
        )
        for end in paid
    ]
    new += beside
    ids = [round_trip.new_id() for _ in new]
    legs = [(place, leg) for place, one in enumerate(new, start=1) for leg in one.legs]
    written = round_trip.write(
        "SELECT credits_settle_many(%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::text[],"
        " %s::text[], %s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::text[])",
        [
            round_trip.array(ids),
            round_trip.text_array([one.reference for one in new]),
            round_trip.text_array([one.kind for one in new]),
            round_trip.bytes_array([*map(_digest_of, paid), *map(digest_of, beside)]),
            round_trip.text_array([one.memo for one in new]),
            round_trip.text_array([one.subject for one in new]),
            [*(end.work for end in paid), *(None for _ in beside)],
            round_trip.array(place for place, _ in legs),
            round_trip.array(leg.account for _, leg in legs),
            round_trip.array(leg.amount for _, leg in legs),
            [end.work for end in ends if not end.parts],
        ],
    )
    made = (Posted(id=got, replayed=got != new) for got, new in zip(written, ids, strict=True))
    return [next(made) if end.parts else None for end in ends] + list(made)


def refund(
    *,
    work: str,
    to: AccountId,
    kind: str = "refund",
    memo: str = "",
    subject: str = "",
) -> Posted:
    """End the escrow of *work*: everything it holds goes to one account, and it is closed.

    Raises:
        EscrowEmpty: Never funded, or ended before by a settlement or another refund.
        AccountClosed, UnknownAccount, BalanceTooLarge: *to* is such an account.
        InvalidText: As `ledger.post`.

    Transaction: the caller's. Locks: both accounts, in ascending id. Round trips: one.
    """
    check_known(to)
    return _write(
        "credits_refund",
        work=work,
        reference=END + work,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[to],
        request=[to],
    )


def held(work: str) -> int:
    """Return what is held for *work*, in micro-credits; 0 where there is no escrow.

    Round trips: one.
    """
    row = _escrow("balance", work)
    return 0 if row is None else row


def find(work: str) -> AccountId | None:
    """Return the escrow of *work*, open or ended; None where it was never funded.

    Round trips: one.
    """
    row = _escrow("id", work)
    return None if row is None else AccountId(row)


def _escrow(column: str, work: str) -> int | None:
    found = round_trip.row(
        f"SELECT {column} FROM credits_account WHERE kind = 'escrow' AND reference = %s",  # noqa: S608 - a literal above
        [work],
    )
    return None if found is None else int(found[0])


def _check_positive(amount: int, account: int | None = None) -> None:
    check_amount(amount, account)
    if amount < 0:
        raise InvalidLegs("negative_amount", "an escrow moves positive amounts", account=account)


def _check_work(work: str) -> None:
    # `end:` and the work together are a reference.
    check_text("work", work, MAX_REFERENCE_CHARACTERS - len(END), least=1)


def _check_works(works: Mapping[str, int]) -> dict[str, int]:
    """Check what many escrows are to receive; return it in the order of works."""
    if not works:
        raise InvalidLegs("too_few_legs", "a funding of many works names at least one")
    if len(works) >= MAX_LEGS:
        raise InvalidLegs("too_many_legs", f"at most {MAX_LEGS - 1} works are funded together")
    for work, amount in works.items():
        _check_work(work)
        _check_positive(amount)
    check_total(works.values())
    return dict(sorted(works.items()))


def _check_end(end: End) -> None:
    _check_work(end.work)
    check_texts(reference=END + end.work, kind=end.kind, memo=end.memo, subject=end.subject)
    if len(end.parts) >= MAX_LEGS:
        raise InvalidLegs("too_many_legs", f"a settlement has at most {MAX_LEGS - 1} parts")
    for account, amount in end.parts.items():
        check_known(account)
        _check_positive(amount, account)
    check_total(end.parts.values())


def _request_of(end: End) -> list[object]:
    """Return what a repetition of an end has to equal, whichever call makes it."""
    return [sorted(end.parts.items())]


def _digest_of(end: End) -> bytes:
    return digest(_SETTLE, end.work, _request_of(end), end.kind, end.memo, end.subject)


def _write(
    function: str,
    *,
    work: str | list[str],
    reference: str,
    kind: str,
    memo: str,
    subject: str,
    arguments: list[Any],
    request: list[object],
    casts: list[str] | None = None,
) -> Posted:
    """Call an escrow function; *request* is what a repetition has to equal."""
    if isinstance(work, str):
        _check_work(work)
    check_texts(reference=reference, kind=kind, memo=memo, subject=subject)
    new = round_trip.new_id()
    own = (
        ", ".join(f"%s::{cast}" for cast in casts) if casts else ", ".join("%s" for _ in arguments)
    )
    written = round_trip.write(
        f"SELECT {function}(%s, %s, %s, %s, %s, %s, %s, {own})",
        [
            new,
            reference,
            kind,
            digest(function, work, request, kind, memo, subject),
            memo,
            subject,
            work,
            *arguments,
        ],
    )
    return Posted(id=written, replayed=written != new)
