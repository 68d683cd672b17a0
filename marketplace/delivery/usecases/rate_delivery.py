"""One side of an ended task rates the other."""

import uuid

from marketplace.delivery.queries import visible_to
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.ratings.giving import give
from marketplace.ratings.models import Rating
from marketplace.tasks import deadlines
from marketplace.tasks.models import Task
from marketplace.tasks.states import NotPermitted


@use_case
def rate_delivery(
    *, delivery_id: uuid.UUID, actor: Participant, score: int, comment: str = ""
) -> Rating:
    """Rate the worker of a delivery as the poster of its task, or the poster as the worker.

    Args:
        delivery_id: A delivery of the task, accepted or not.
        actor: The poster, or the delivery's worker.
        score: 1 to 5.
        comment: What it says beside that.

    Raises:
        Delivery.DoesNotExist: No such delivery, or not the actor's to see.
        NotPermitted: The actor is neither of the two.
        IllegalTransition, RatingClosed, AlreadyRated: See `ratings.giving.give`.

    Locks: the task.
    """
    delivery = visible_to(actor).select_related("worker", "task__poster").get(pk=delivery_id)
    sides = {delivery.task.poster: delivery.worker, delivery.worker: delivery.task.poster}
    task, now = Task.objects.lock(delivery.task_id)
    deadlines.require_current(task, now)
    if actor not in sides:
        raise NotPermitted(verb="rate", reason="the two sides of a task rate each other")
    return give(task, rater=actor, rated=sides[actor], score=score, comment=comment, at=now)
