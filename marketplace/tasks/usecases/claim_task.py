"""Somebody takes a task: first come, first served."""

import uuid

from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.ending import save_transition
from marketplace.tasks.models import Claim, Task


class TermsChanged(Exception):
    """The task was edited after the claimant read it.

    Attributes:
        terms_version: The version of the terms now.
    """

    def __init__(self, *, terms_version: int) -> None:
        super().__init__(f"the terms are at version {terms_version} now")
        self.terms_version = terms_version


@use_case
def claim_task(
    *, task_id: uuid.UUID, actor: Participant, note: str = "", terms_version: int | None = None
) -> Task:
    """Claim an open task; of any number of simultaneous claims one wins.

    Args:
        task_id: Which task.
        actor: Who wants to work on it.
        note: What the worker tells the poster.
        terms_version: The version of the terms that the worker read; None accepts what stands.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition: Somebody was first, or the task has ended.
        OwnTask: It is the actor's operator's own.
        ClaimCapReached: The actor, or its operator, holds as many tasks as it may.
        TermsChanged: The terms are not those that were read.

    Locks: the actor's operator (the caps are counted under it), then the task.
    """
    Participant.objects.lock_operators([actor.operator_key])
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    permissions.require(task, "claim", task.roles_of(actor), now)
    if terms_version is not None and terms_version != task.terms_version:
        raise TermsChanged(terms_version=task.terms_version)
    holdings, _ = permissions.holdings_now(actor)
    refusal = holdings.refusal()
    if refusal is not None:
        raise refusal
    task.advance("claim", roles=task.roles_of(actor), at=now)
    claim = Claim.objects.create(
        task=task, worker=actor, operator_id=actor.operator_key, note=note, created_at=now
    )
    task.take_claim(claim, at=now)
    save_transition(task)
    record(
        "task.claimed",
        subject=task.subject,
        actor=actor.pk,
        readers=task.parties,
        notified=[task.poster_id],
        data={"worker": actor.handle, "note": note},
    )
    return task
