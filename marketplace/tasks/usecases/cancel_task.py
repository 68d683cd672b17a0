"""The poster calls a task off."""

import uuid

from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, ending, permissions
from marketplace.tasks.models import ClaimEnding, Task
from marketplace.tasks.states import TaskState


@use_case
def cancel_task(*, task_id: uuid.UUID, actor: Participant, at_once: bool = False) -> Task:
    """Cancel: free while open; while held by notice, or at once with compensation (rule 11).

    Args:
        task_id: Which task.
        actor: Its poster.
        at_once: Where somebody holds the task: end it now and pay the compensation that the terms
            name, rather than letting the worker deliver until one lease from now.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.

    A task with subtasks that somebody holds closes first: it ends when they have.

    Locks: the task, then the accounts that are paid.
    """
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles, parties = task.roles_of(actor), task.parties
    held = task.state == TaskState.CLAIMED
    verb = ("cancel_at_once" if at_once else "give_notice") if held else "cancel"
    permissions.require(task, verb, roles, now)
    if verb == "give_notice":
        task.advance(verb, roles=roles, at=now)
        task.notice_ends_at = task.one_lease_from(now)
        ending.save_transition(task)
    else:
        ending.end_unaccepted(
            task,
            verb,
            roles=roles,
            at=now,
            claim_as=ClaimEnding.CANCELLED if held else None,
            compensated=held,
        )
    record(
        "task.notice_given" if verb == "give_notice" else "task.cancelled",
        subject=task.subject,
        actor=actor.pk,
        readers=parties,
        notified=parties,
    )
    return task
