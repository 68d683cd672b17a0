"""Locking a dispute: through its task, which is what rivals contend for."""

import uuid
from datetime import datetime

from marketplace.disputes.models import Dispute
from marketplace.disputes.queries import visible_to
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines
from marketplace.tasks.models import Task


def lock_dispute(dispute_id: uuid.UUID, actor: Participant) -> tuple[Dispute, Task, datetime]:
    """Lock the task of a dispute and return both as they stand, with the market's time.

    Raises:
        Dispute.DoesNotExist: No such dispute, or not the actor's to see.

    Locks: the task. Round trips: three.
    """
    task_id = visible_to(actor).values_list("task_id", flat=True).get(pk=dispute_id)
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    return current(task), task, now


def current(task: Task) -> Dispute:
    """Return the dispute about a locked task, with both sides. Round trips: one."""
    dispute = Dispute.objects.select_related("claim", "opener").get(task=task)
    dispute.task = task
    return dispute
