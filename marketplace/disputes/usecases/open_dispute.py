"""Poster or worker lets a panel judge a delivery."""

import uuid

from credits import escrow, ledger
from marketplace.delegation.waiting import payments_waiting
from marketplace.delivery import review
from marketplace.delivery.models import Delivery
from marketplace.disputes import cases
from marketplace.disputes.models import Cause, Dispute
from marketplace.foundation.transactions import use_case
from marketplace.participants import allowances
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.models import Task
from marketplace.tasks.states import Role, TaskState


@use_case
def open_dispute(*, task_id: uuid.UUID, actor: Participant, reason: str) -> Dispute:
    """Dispute a delivery: the poster while it awaits review, the worker after a rejection.

    The escrow stays as it is until the dispute has ended, and the task's other clocks stop. The
    actor's wallet deposits what the task's terms name, in an escrow of the dispute's own.

    Over an accepted subtask whose earnings wait, whoever funded it opens one: what waits takes the
    place of the escrow, and the subtask stays accepted (rule 20).

    Args:
        task_id: Which task.
        actor: Its poster, its worker, or its funder.
        reason: Why; the other side and the panel read it.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.
        AllowanceExceeded: The actor's operator does not let it spend the deposit.
        InsufficientCredits: The wallet holds less than the deposit.

    Locks: the task, then the allowance, the wallet and the deposit's escrow.
    """
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles = task.roles_of(actor)
    over_earnings = task.state == TaskState.ACCEPTED and Role.FUNDER in roles
    verb = "dispute_earnings" if over_earnings else "dispute"
    permissions.require(task, verb, roles, now)
    if over_earnings:
        cause, delivery = Cause.FUNDER, review.accepted(task)
        (payment,) = payments_waiting([task])
        at_stake = payment.amount
    elif Role.POSTER in roles:
        cause, delivery, at_stake = Cause.POSTER, review.under_review(task), task.payable
    else:
        cause, delivery, at_stake = Cause.WORKER, _rejected(task), task.payable
    deposit = terms_of(task).deposit(at_stake)
    spent = task.bounty if cause == Cause.POSTER else 0
    allowances.spend(actor, deposit, on_task=spent + deposit)
    task.advance(verb, roles=roles, at=now)
    dispute = cases.open_case(
        task,
        delivery,
        cause,
        at=now,
        opener=actor,
        reason=reason,
        deposit=deposit,
    )
    escrow.fund(
        work=dispute.public_id,
        owner=actor.operator_key,
        source=ledger.AccountId(actor.wallet_account),
        amount=deposit,
        reference=f"fund:{dispute.public_id}",
        kind="deposit",
        memo=f"Deposit of a dispute: {task.title}"[:200],
        subject=dispute.public_id,
    )
    return dispute


def _rejected(task: Task) -> Delivery:
    """Return the delivery whose rejection its worker may dispute: the latest of the claim."""
    return Delivery.objects.select_related("claim").filter(claim=task.claim_id).latest("number")
