"""The poster accepts a delivery."""

import uuid

from marketplace.delivery import contests, decisions
from marketplace.delivery.locking import lock_for_decision
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.ratings.giving import give
from marketplace.tasks.models import Settlement
from marketplace.tasks.terms import InvalidTerms


@use_case
def accept_delivery(
    *,
    delivery_id: uuid.UUID,
    actor: Participant,
    rating: int | None = None,
    comment: str = "",
    runner_up: uuid.UUID | None = None,
) -> Settlement:
    """Accept a delivery and settle its task's escrow, in one transaction.

    Args:
        delivery_id: Which delivery.
        actor: The poster of its task.
        rating: 1 to 5, or none; a rating of the worker, see `ratings.giving`.
        comment: What the poster says of it; with a rating, it is part of that.
        runner_up: Which entry of a contest is second; None takes the earliest other that passed.

    Returns:
        How the escrow was divided.

    Raises:
        Delivery.DoesNotExist: No such delivery, or not the actor's to see.
        IllegalTransition, NotPermitted: See `lock_for_decision`; an entry whose checks have not
            ended, or that they failed.
        InvalidTerms: The second is no entry that may be.

    Locks: the task, then the accounts that are paid.
    """
    task, delivery, now = lock_for_decision(delivery_id, actor, "accept")
    if delivery.is_entry:
        settlement = contests.award(
            task,
            delivery,
            "accept",
            roles=task.roles_of(actor),
            actor=actor,
            at=now,
            runner_up=runner_up,
        )
    elif runner_up is not None:
        raise InvalidTerms(
            field="runner_up", code="wrong_mode", detail="Only a contest has a second."
        )
    else:
        settlement = decisions.accept(
            task,
            delivery,
            "accept",
            roles=task.roles_of(actor),
            actor=actor,
            at=now,
            comment=comment if rating is None else "",
        )
    if rating is not None:
        give(task, rater=actor, rated=delivery.worker, score=rating, comment=comment, at=now)
    return settlement
