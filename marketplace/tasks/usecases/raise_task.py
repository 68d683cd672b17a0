"""The poster offers more: a higher bounty, or more time."""

import uuid
from datetime import datetime

from credits import amounts
from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.models import Task
from marketplace.tasks.sources import follow_bounty
from marketplace.tasks.terms import check_fits, check_raise


@use_case
def raise_task(
    *,
    task_id: uuid.UUID,
    actor: Participant,
    bounty: int | None = None,
    deadline: datetime | None = None,
) -> Task:
    """Raise the bounty or the deadline, also where the terms are frozen (rule 6).

    Where a selected bid holds the task, its amount rises by as much: a raise is for whoever works.
    What somebody agreed to before stays agreed to.

    Args:
        task_id: Which task.
        actor: Its poster.
        bounty: The new bounty in micro-credits; None leaves it.
        deadline: The new deadline; None leaves it.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.
        InvalidTerms: Nothing rises, or the deadline is out of its bounds.
        InsufficientCredits, AllowanceExceeded, EscrowExhausted: For the higher bounty.

    Locks: the task, then the allowance, the source and the escrow.
    """
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles = task.roles_of(actor)
    permissions.require(task, "raise", roles, now)
    check_raise(task, bounty=bounty, deadline=deadline, now=now)
    if deadline is not None:
        check_fits(task, deadline, now)
    task.advance("raise", roles=roles, at=now)
    old_bounty = task.bounty
    if bounty is not None:
        task.bounty = bounty
        if task.price is not None:
            task.price += bounty - old_bounty
    if deadline is not None:
        task.deadline = deadline
    task.terms_version += 1
    deadlines.schedule(task)
    task.save(update_fields=["bounty", "price", "deadline", "terms_version", "due_at"])
    follow_bounty(task, actor, old_bounty)
    record(
        "task.raised",
        subject=task.subject,
        actor=actor.pk,
        readers=task.parties,
        notified=[task.worker_id],
        data={
            "task": task.public_id,
            "terms_version": task.terms_version,
            "bounty": amounts.format(task.bounty),
            "deadline": task.deadline.isoformat(),
        },
    )
    return task
