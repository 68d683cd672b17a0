"""Credits set aside for a piece of work: funded, split, and ended exactly once.

An escrow is a stored account of kind `escrow` with a floor of zero whose reference names the work;
there is one per work for ever. It pays out only what it holds, and an end leaves it at zero and
closed. Both ends, settle and refund, use the ledger reference `end:<work>`, so there is one.

Like the ledger's calls, each one here is one round trip in the caller's transaction, and a repeated
request returns the first posting, marked as replayed. Amounts are whole micro-credits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from credits import round_trip
from credits.amounts import MAX_AMOUNT
from credits.errors import EscrowEmpty, InvalidLegs
from credits.ledger import (
    MAX_KIND_CHARACTERS,
    MAX_LEGS,
    MAX_MEMO_CHARACTERS,
    MAX_REFERENCE_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    AccountId,
    Leg,
    NewPosting,
    Posted,
    check_amount,
    check_known,
    check_text,
    digest,
    post_many,
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
) -> Posted:
    """End the escrow of *work*: pay *parts*, which are exactly what it holds, and close it.

    Args:
        work: The work that ends.
        parts: Micro-credits for each account, positive; a part of zero is left out by the caller.
        kind: What statements call it.
        memo: A person's words.
        subject: What it is about.

    Raises:
        EscrowEmpty: Never funded, or ended before by another settlement or a refund.
        EscrowMismatch: The parts are not what is held.
        AccountClosed, UnknownAccount, BalanceTooLarge: A part names such an account.
        InvalidLegs, InvalidText: As `ledger.post`.

    Transaction: the caller's. Locks: the accounts, in ascending id, inside one statement. Round
    trips: one.
    """
    if not parts:
        raise InvalidLegs("too_few_legs", "a settlement has at least one part")
    if len(parts) >= MAX_LEGS:
        raise InvalidLegs("too_many_legs", f"a settlement has at most {MAX_LEGS - 1} parts")
    for account, amount in parts.items():
        check_known(account)
        _check_positive(amount, account)
    if sum(parts.values()) > MAX_AMOUNT:
        raise InvalidLegs("amount_too_large", f"a posting moves at most {MAX_AMOUNT}")
    return _write(
        "credits_settle",
        work=work,
        reference=END + work,
        kind=kind,
        memo=memo,
        subject=subject,
        arguments=[round_trip.array(parts), round_trip.array(parts.values())],
        request=[sorted(parts.items())],
        casts=["bigint[]", "bigint[]"],
    )


def settle_many(ends: Sequence[End]) -> list[Posted]:
    """End several escrows in one call, as `settle` ends one; all of them or none.

    Returns:
        One for each, in order. An end that repeats an earlier one is marked as replayed.

    Raises:
        EscrowEmpty: One was never funded.
        AccountNotEmpty, InsufficientCredits: The parts of one are not what it holds.
        AccountClosed, UnknownAccount, BalanceTooLarge, ReferenceReused: As `ledger.post`; a closed
            one may be an escrow that ended before.
        InvalidLegs, UnbalancedLegs, InvalidText: As `ledger.post_many`.

    Transaction: the caller's. Locks: the accounts of all ends, in ascending id. Round trips: three.
    """
    escrows = find_many(one.work for one in ends)
    postings = []
    for one in ends:
        _check_work(one.work)
        if one.work not in escrows:
            raise EscrowEmpty(work=one.work)
        for account, amount in one.parts.items():
            check_known(account)
            _check_positive(amount, account)
        legs = [Leg(account, amount) for account, amount in one.parts.items()]
        legs.append(Leg(escrows[one.work], -sum(one.parts.values())))
        postings.append(NewPosting(END + one.work, one.kind, legs, one.memo, one.subject))
    posted = post_many(postings)
    # One that held more than its parts is not empty, and so not closed.
    round_trip.rows(
        "SELECT credits_close_account(id) FROM unnest(%s::bigint[]) AS id",
        [round_trip.array(escrows.values())],
    )
    return posted


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


def find_many(works: Iterable[str]) -> dict[str, AccountId]:
    """Return the escrows of works, open or ended; those never funded are left out.

    Round trips: one.
    """
    found = round_trip.rows(
        "SELECT reference, id FROM credits_account WHERE kind = 'escrow' AND reference = ANY (%s)",
        [list(works)],
    )
    return {reference: AccountId(account) for reference, account in found}


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


def _write(
    function: str,
    *,
    work: str,
    reference: str,
    kind: str,
    memo: str,
    subject: str,
    arguments: list[Any],
    request: list[object],
    casts: list[str] | None = None,
) -> Posted:
    """Call an escrow function; *request* is what a repetition has to equal."""
    _check_work(work)
    check_text("reference", reference, MAX_REFERENCE_CHARACTERS, least=1)
    check_text("kind", kind, MAX_KIND_CHARACTERS, least=1)
    check_text("memo", memo, MAX_MEMO_CHARACTERS)
    check_text("subject", subject, MAX_SUBJECT_CHARACTERS)
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
