"""The poster rejects a delivery."""

import uuid

from marketplace.delivery import decisions
from marketplace.delivery.locking import lock_for_decision
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.submit_delivery import require_listed
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant


class RequirementMissing(Exception):
    """The task lists requirements, and the rejection names none of them (rule 10)."""


@use_case
def reject_delivery(
    *,
    delivery_id: uuid.UUID,
    actor: Participant,
    reason: str,
    requirement: int | None = None,
) -> Delivery:
    """Reject a delivery with a reason; the worker may deliver again, or dispute.

    Args:
        delivery_id: Which delivery.
        actor: The poster of its task.
        reason: Why, for the worker.
        requirement: Index of the requirement that the rejection rests on; needed where the task
            lists any.

    Raises:
        Delivery.DoesNotExist: No such delivery, or not the actor's to see.
        IllegalTransition, NotPermitted: See `lock_for_decision`.
        RequirementMissing, UnknownRequirement: The requirement is not named, or not listed.

    Locks: the task.
    """
    task, delivery, now = lock_for_decision(delivery_id, actor, "reject")
    if requirement is None and task.requirements:
        raise RequirementMissing
    if requirement is not None:
        require_listed(task, requirement)
    decisions.reject(
        task,
        delivery,
        "reject",
        roles=task.roles_of(actor),
        actor=actor,
        at=now,
        reason=reason,
        requirement=requirement,
    )
    return delivery
