"""Whom a task was offered to does not want it."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, offers, permissions
from marketplace.tasks.models import OnDecline, Task


@use_case
def decline_task(*, task_id: uuid.UUID, actor: Participant, reason: str = "") -> Task:
    """Decline an offer: the task is open again, or cancelled where its poster chose that.

    Args:
        task_id: Which task.
        actor: Whom it was offered to.
        reason: What the actor tells the poster.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.

    Locks: the task; where it ends, the accounts that are paid.
    """
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    verb = "refuse" if task.on_decline == OnDecline.CANCEL else "decline"
    permissions.require(task, verb, task.roles_of(actor), now)
    offers.decline(task, actor=actor, at=now, reason=reason)
    return task
