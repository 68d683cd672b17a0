"""The worker says that it is still at it."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.ending import save_transition
from marketplace.tasks.models import Task


@use_case
def heartbeat(*, task_id: uuid.UUID, actor: Participant) -> Task:
    """Renew the lease, up to the deadline. It records no event: nothing changed hands.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.

    Locks: the task.
    """
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles = task.roles_of(actor)
    permissions.require(task, "heartbeat", roles, now)
    task.advance("heartbeat", roles=roles, at=now)
    task.renew_lease(at=now)
    save_transition(task)
    return task
