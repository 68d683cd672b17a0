"""What a subtask earned from its parent's escrow waits before it is paid (rule 15).

The settlement of the subtask is final; its wages lie in the pending account of the worker's
operator. They go on to the wallet when the task whose escrow the money lay in first has been
accepted, or when its poster has let the time to dispute pass. So nobody on the way can hand the
bounty to a friend.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import structlog
from django.db.models import QuerySet

from credits import amounts, ledger
from credits.errors import MoneyReadOnly
from marketplace.delegation.models import WageRelease
from marketplace.events.log import record
from marketplace.foundation import clock
from marketplace.foundation.batching import together, write
from marketplace.foundation.ids import encode
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.queries import earnings_accounts_of, wallets_of
from marketplace.tasks import lineage
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.division import share_down, share_up
from marketplace.tasks.ending import (
    Deposit,
    deposit_payout,
    panel_legs,
    post_beside,
    save_transition,
)
from marketplace.tasks.models import SettlementPayment, Task
from marketplace.tasks.sources import home_of

log = structlog.get_logger()

BATCH = 500


def tell_funder(task: Task) -> None:
    """Tell whose money a subtask earned until when they may dispute that.

    What the entries of a contest share waits as well, but nobody can dispute it.
    """
    until = task.wages_wait_until
    assert until is not None, "something waits"
    record(
        "wages.waiting",
        subject=task.subject,
        actor=None,
        readers=[task.funder_id, *task.parties],
        notified=[] if task.claim_id is None else [task.funder_id],
        data={"task": task.public_id, "key": task.key, "until": until.isoformat()},
    )


def payments_waiting(tasks: Sequence[Task]) -> list[SettlementPayment]:
    """Return what waits for the workers of subtasks. Round trips: one."""
    waiting = [task.pk for task in tasks if task.wages_wait_until is not None]
    found = SettlementPayment.objects.filter(settlement__in=waiting, release=None)
    return list(found.select_related("claim", "worker", "settlement__task"))


def released_of(task: Task) -> QuerySet[WageRelease]:
    """Return what became of what a subtask earned, each with its worker."""
    found = WageRelease.objects.filter(payment__settlement=task.pk)
    return found.select_related("payment__worker").order_by("pk")


def waiting_for(operator: uuid.UUID) -> QuerySet[SettlementPayment]:
    """Return what waits for the wallet of an operator, what comes first in front."""
    waiting = SettlementPayment.objects.filter(
        claim__operator=operator, release=None, settlement__task__wages_wait_until__isnull=False
    )
    found = waiting.select_related("worker", "settlement__task").defer("settlement__task__search")
    return found.order_by("settlement__task__wages_wait_until", "pk")


def release_funded_by(task: Task, *, at: datetime) -> None:
    """Release what waits for the workers of all that a task's escrow paid for, however deep.

    What is disputed goes on waiting. Transaction: the caller's, which holds the lock of the root.
    """
    funded = [
        one
        for one in lineage.load(task).values()
        if one.funding_root == task.pk and one.wages_wait_until and one.dispute_due_at is None
    ]
    if funded:
        release(funded, at=at)


def release(tasks: Sequence[Task], *, at: datetime) -> None:
    """Move what waits for the workers of subtasks into their wallets, and save the tasks.

    Transaction: the caller's, which holds the lock of the root. Locks: accounts, ascending.
    """
    payments = payments_waiting(tasks)
    operators = [payment.claim.operator_id for payment in payments]
    pending, wallets = earnings_accounts_of(operators), wallets_of(operators)
    with together():
        for payment in payments:
            operator = payment.claim.operator_id
            if payment.amount:  # wages of a micro-credit are all fee
                move = {pending[operator]: -payment.amount, wallets[operator]: payment.amount}
                post_beside([posting_of(payment, move)])
            release = WageRelease(
                payment=payment, waited=payment.amount, wages=payment.amount, released_at=at
            )
            write(_save, release)
            _tell(payment, operator)
        for task in tasks:
            task.wages_wait_until = None
            save_transition(task)


def judge(
    task: Task,
    *,
    share_bps: int,
    voters: Sequence[uuid.UUID],
    deposit: Deposit | None,
    at: datetime,
) -> WageRelease:
    """Divide what waits for a worker as a dispute over it was decided (rule 20).

    What is not the worker's goes back where it came from; an escrow that has ended passes it on.

    Args:
        task: The subtask, which stays accepted.
        share_bps: The worker's share of what the panel's part leaves, in basis points.
        voters: The operators of the panelists who voted, who share the panel's part.
        deposit: The deposit of the dispute, which is paid out in the same call.
        at: The market's time.

    Transaction: the caller's, which holds the lock of the root. Locks: accounts, ascending.
    """
    (payment,) = payments_waiting([task])  # what several share is nobody's to dispute
    waited, operator = payment.amount, payment.claim.operator_id
    panel = share_up(waited, terms_of(task).panel_fee_bps) if voters else 0
    wages = share_down(waited - panel, share_bps)
    home = home_of(task)
    released = WageRelease(
        payment=payment,
        waited=waited,
        wages=wages,
        returned=waited - panel - wages,
        panel=panel,
        released_at=at,
    )
    moves: Counter[ledger.AccountId] = Counter()
    moves[earnings_accounts_of([operator])[operator]] -= waited
    moves[wallets_of([operator])[operator]] += wages
    moves[home.account] += released.returned
    for leg in panel_legs(panel, voters):
        moves[leg.account] += leg.amount
    with together():
        posting = posting_of(payment, {one: moved for one, moved in moves.items() if moved})
        payouts = [] if deposit is None else [deposit_payout(task, deposit)]
        post_beside([posting] if waited else [], payouts)
        home.note_back(released.returned)
        write(_save, released)
        task.dispute_due_at = task.wages_wait_until = None
        save_transition(task)
    return released


def posting_of(
    payment: SettlementPayment, legs: dict[ledger.AccountId, int], *, kind: str = "earning"
) -> ledger.NewPosting:
    """Return the posting by which what waited for one worker goes on; there is one for each."""
    task = payment.settlement.task
    return ledger.NewPosting(
        reference=f"wages:{encode('claim', payment.claim_id)}",
        kind=kind,
        legs=[ledger.Leg(account, amount) for account, amount in legs.items()],
        memo=f"After the wait: {task.title}"[:200],
        subject=task.public_id,
    )


def release_due(*, limit: int = BATCH) -> int:
    """Release what has waited long enough and return of how many subtasks.

    Each tree in a transaction of its own; a subtask whose earnings are disputed waits on.
    """
    due = Task.objects.filter(wages_wait_until__lte=clock.now(), dispute_due_at=None).order_by(
        "wages_wait_until"
    )
    released = 0
    for task_id in list(due.values_list("pk", flat=True)[:limit]):
        try:
            released += run_in_transaction(partial(_release_due, task_id))
        except MoneyReadOnly:
            break  # what is due stays due: the clock stands until money moves again
        except Exception as error:  # one that fails must not keep the others waiting
            log.exception("wages.failed", task=encode("task", task_id), error=str(error))
    return released


def _release_due(task_id: uuid.UUID) -> int:
    task, now = Task.objects.lock(task_id)
    until = task.wages_wait_until
    if until is None or until > now or task.dispute_due_at is not None:
        return 0
    release([task], at=now)
    return 1


def _tell(payment: SettlementPayment, operator: uuid.UUID) -> None:
    task = payment.settlement.task
    record(
        "wages.released",
        subject=task.subject,
        actor=None,
        readers=[payment.worker_id, operator],
        notified=[payment.worker_id],
        data={"task": task.public_id, "amount": amounts.format(payment.amount)},
    )


def _save(releases: Sequence[WageRelease]) -> None:
    WageRelease.objects.bulk_create(releases)
