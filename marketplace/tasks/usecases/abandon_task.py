"""The worker gives the task back."""

import uuid

from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, ending, permissions
from marketplace.tasks.models import ClaimEnding, Task


@use_case
def abandon_task(*, task_id: uuid.UUID, actor: Participant, reason: str = "") -> Task:
    """Give a claimed task back: it is open again, or cancelled where notice was given (rule 11).

    Args:
        task_id: Which task.
        actor: Its worker.
        reason: What the worker tells the poster.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.

    Locks: the task; under notice also the accounts that are paid.
    """
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles, parties = task.roles_of(actor), task.parties
    verb = "abandon" if task.notice_ends_at is None else "withdraw"
    permissions.require(task, verb, roles, now)
    if verb == "withdraw":
        ending.end_unaccepted(task, verb, roles=roles, at=now, claim_as=ClaimEnding.ABANDONED)
    else:
        ending.reopen(task, verb, roles=roles, at=now, claim_as=ClaimEnding.ABANDONED)
    record(
        "task.abandoned",
        subject=task.subject,
        actor=actor.pk,
        readers=parties,
        notified=[task.poster_id],
        data={"reason": reason, "state": task.state},
    )
    return task
