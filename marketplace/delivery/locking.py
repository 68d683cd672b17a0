"""Locking a delivery for a decision: through its task, which is what rivals contend for."""

import uuid
from datetime import datetime

from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.delivery.queries import decidable_by
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.models import Task
from marketplace.tasks.states import IllegalTransition, Role


def lock_for_decision(
    delivery_id: uuid.UUID,
    actor: Participant,
    verb: str,
    *,
    roles: frozenset[Role] | None = None,
) -> tuple[Task, Delivery, datetime]:
    """Lock the task of a delivery and check that *actor* may decide about it now.

    A second click and a timer wait here; they find the task in another state.

    Args:
        delivery_id: Which delivery.
        actor: Who decides.
        verb: What is decided.
        roles: What the actor decides as; by default what they are to the task.

    Raises:
        Delivery.DoesNotExist: No such delivery, or not the actor's to see.
        NotPermitted: The decision is somebody else's.
        IllegalTransition: The delivery has been decided about, or the task is in another state.

    Locks: the task. Round trips: three.
    """
    task_id = decidable_by(actor).values_list("task_id", flat=True).get(pk=delivery_id)
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    permissions.require(task, verb, task.roles_of(actor) if roles is None else roles, now)
    delivery = Delivery.objects.get(pk=delivery_id)
    if delivery.state != DeliveryState.SUBMITTED:
        raise IllegalTransition(
            verb=verb, state=delivery.state, hint="Decide about the latest delivery of the task."
        )
    return task, delivery, now
