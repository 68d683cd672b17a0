"""The poster accepts a delivery."""

import uuid

from marketplace.delivery import decisions
from marketplace.delivery.locking import lock_for_decision
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks.models import Settlement


@use_case
def accept_delivery(
    *, delivery_id: uuid.UUID, actor: Participant, rating: int | None = None, comment: str = ""
) -> Settlement:
    """Accept a delivery and settle its task's escrow, in one transaction.

    Args:
        delivery_id: Which delivery.
        actor: The poster of its task.
        rating: 1 to 5, or none.
        comment: What the poster says of it.

    Returns:
        How the escrow was divided.

    Raises:
        Delivery.DoesNotExist: No such delivery, or not the actor's to see.
        IllegalTransition, NotPermitted: See `lock_for_decision`.

    Locks: the task, then the accounts that are paid.
    """
    task, delivery, now = lock_for_decision(delivery_id, actor, "accept")
    return decisions.accept(
        task,
        delivery,
        "accept",
        roles=task.roles_of(actor),
        actor=actor,
        at=now,
        rating=rating,
        comment=comment,
    )
