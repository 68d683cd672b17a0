"""Somebody takes a task: first come, first served, or because it was offered to them."""

import uuid

from marketplace.events.log import record
from marketplace.foundation.batching import together
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, lineage, offers, permissions
from marketplace.tasks.caps import holdings_of
from marketplace.tasks.ending import save_transition
from marketplace.tasks.lineage import Moment
from marketplace.tasks.models import Claim, Task
from marketplace.tasks.terms import require_terms


@use_case
def claim_task(
    *, task_id: uuid.UUID, actor: Participant, note: str = "", terms_version: int | None = None
) -> Task:
    """Claim an open task, or one that was offered; of simultaneous claims one wins.

    Args:
        task_id: Which task.
        actor: Who wants to work on it.
        note: What the worker tells the poster.
        terms_version: The version of the terms that the worker read; None accepts what stands.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition: Somebody was first, the task has ended, or its mode is another.
        OwnTask, Blocked, NotEligible: The actor may not take it: see `permissions.require_taking`.
        Frozen, PosterFrozen: One side enters into nothing new.
        ClaimCapReached: The actor, or its operator, holds as many tasks as it may.
        TermsChanged: The terms are not those that were read.

    Locks: the actor's operator (the caps are counted under it), then the task.
    """
    Participant.objects.lock_operators([actor.operator_key])
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    permissions.require_taking(task, actor, "claim", now)
    require_terms(task, terms_version)
    refusal = holdings_of(actor).refusal
    if refusal is not None:
        raise refusal
    task.advance("claim", roles=task.roles_of(actor), at=now)
    offers.take(task)
    claim = Claim.objects.create(
        task=task, worker=actor, operator_id=actor.operator_key, note=note, created_at=now
    )
    task.take_claim(claim, at=now)
    with together():
        save_transition(task)
        lineage.tell(Moment.TAKEN, task, now)
        record(
            "task.claimed",
            subject=task.subject,
            actor=actor.pk,
            readers=task.parties,
            notified=[task.poster_id],
            data={"worker": actor.handle, "note": note},
        )
    return task
