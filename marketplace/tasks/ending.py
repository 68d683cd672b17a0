"""How a task ends: its escrow is divided and paid out, whoever or whatever ended it.

There is one way to end a task, and every ending takes it: acceptance, cancelling, expiry, and later
the verdict of a panel. Settling and refunding share the ledger reference `end:task_…`.
"""

from datetime import datetime

from credits import escrow, ledger
from marketplace.participants.queries import wallets_of
from marketplace.reuse import uses
from marketplace.tasks import deadlines
from marketplace.tasks.division import Division, divide_accepted, divide_unaccepted
from marketplace.tasks.models import (
    TRANSITION_FIELDS,
    Claim,
    ClaimEnding,
    Settlement,
    Task,
)
from marketplace.tasks.states import TaskState


def end_accepted(task: Task, *, at: datetime) -> Settlement:
    """Pay the worker and the authors of what was used; the task is in its final state already.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    claim = _claim_of(task)
    owed = uses.owed_by(claim.pk)
    division = divide_accepted(
        task.bounty, royalties=sum(earning.amount for earning in owed), fee_bps=task.fee_bps
    )
    wallets = wallets_of([claim.operator_id])
    legs = [
        ledger.Leg(wallets[claim.operator_id], division.wages),
        ledger.Leg(ledger.FEES, division.fee),
        *uses.payee_legs(owed),
    ]
    _pay_out(task, legs, kind="settle", memo=f"Accepted: {task.title}")
    uses.pay_bound(claim.pk, owed, at=at)
    claim.end(ClaimEnding.ACCEPTED, at=at)
    task.stop_review()
    task.claim_expires_at = task.resubmit_by = task.notice_ends_at = None
    return _record(task, division, claim, at=at)


def end_unaccepted(
    task: Task, *, at: datetime, ending: ClaimEnding | None, compensated: bool = False
) -> Settlement:
    """Refund the poster, less what a worker is owed for being cancelled on.

    Args:
        task: In its final state already.
        at: The market's time.
        ending: How the claim on it ends, where somebody holds one.
        compensated: Whether the worker receives the compensation that the terms name.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    claim = _claim_of(task) if task.claim_id else None
    division = divide_unaccepted(
        task.bounty, compensation_bps=task.compensation_bps if compensated else 0
    )
    people = [task.poster_operator_id, *([claim.operator_id] if claim else [])]
    wallets = wallets_of(people)
    legs = [ledger.Leg(wallets[task.poster_operator_id], division.refund)]
    if claim is not None:
        legs.append(ledger.Leg(wallets[claim.operator_id], division.compensation))
    _pay_out(
        task, legs, kind="refund", memo=f"{TaskState(task.state).value.capitalize()}: {task.title}"
    )
    if claim is not None:
        assert ending is not None, "a held claim ends somehow"
        release_claim(task, ending, at=at)
    return _record(task, division, claim, at=at)


def release_claim(task: Task, ending: ClaimEnding, *, at: datetime) -> Claim:
    """Take the task from its worker; the uses bound to the claim are released unpaid."""
    claim = _claim_of(task)
    claim.end(ending, at=at)
    uses.release_bound(claim.pk)
    task.drop_claim()
    return claim


def save_transition(task: Task) -> None:
    """Save what a transition changed, with the limit that the task meets next."""
    deadlines.schedule(task)
    task.save(update_fields=TRANSITION_FIELDS)


def _claim_of(task: Task) -> Claim:
    assert task.claim is not None, "the constraint claimed_tasks_have_a_worker"
    return task.claim


def _pay_out(task: Task, legs: list[ledger.Leg], *, kind: str, memo: str) -> None:
    parts: dict[ledger.AccountId, int] = {}
    for leg in legs:
        if leg.amount:  # a part of zero makes no leg
            parts[leg.account] = parts.get(leg.account, 0) + leg.amount
    escrow.settle(
        work=task.public_id, parts=parts, kind=kind, memo=memo[:200], subject=task.public_id
    )


def _record(task: Task, division: Division, claim: Claim | None, *, at: datetime) -> Settlement:
    return Settlement.objects.create(
        task=task,
        bounty=division.held,
        fee=division.fee,
        royalties=division.royalties,
        compensation=division.compensation,
        refund=division.refund,
        wages=division.wages,
        worker=claim.worker if claim else None,
        claim=claim,
        settled_at=at,
    )
