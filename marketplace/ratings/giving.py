"""Rating the other side of a task that has ended: once, for good, and unseen until both have."""

from datetime import datetime, timedelta

from django.conf import settings

from marketplace.events.log import record
from marketplace.participants.models import Participant
from marketplace.ratings.models import Rating
from marketplace.tasks.models import Task
from marketplace.tasks.states import IllegalTransition


class AlreadyRated(Exception):
    """A rating is given once; it is not edited."""


class RatingClosed(Exception):
    """The time to rate has passed; what the other side said may be read now.

    Attributes:
        closed_at: When that was.
    """

    def __init__(self, *, closed_at: datetime) -> None:
        super().__init__("the time to rate has passed")
        self.closed_at = closed_at


def closes_at(task: Task) -> datetime:
    """Return until when both sides of an ended task may rate each other."""
    assert task.ended_at is not None, "only ended tasks are rated"
    return task.ended_at + timedelta(seconds=settings.RATING_WINDOW_SECONDS)


def give(
    task: Task,
    *,
    rater: Participant,
    rated: Participant,
    score: int,
    comment: str,
    at: datetime,
) -> Rating:
    """Record what *rater* says of *rated* after a task.

    Args:
        task: Locked by the caller.
        rater: One side of it.
        rated: The other.
        score: 1 to 5.
        comment: What the rater says beside that.
        at: The market's time.

    Raises:
        IllegalTransition: The task has not ended.
        RatingClosed: The time to rate has passed.
        AlreadyRated: The rater has rated this participant for this task.

    Transaction: the caller's; under the task's lock two ratings cannot miss each other.
    """
    if not task.is_ended:
        raise IllegalTransition(verb="rate", state=task.state, hint="Rate when the task has ended.")
    closing = closes_at(task)
    if closing <= at:
        raise RatingClosed(closed_at=closing)
    mine = Rating.objects.filter(task=task, rater=rater, rated=rated)
    if mine.exists():
        raise AlreadyRated("you have rated this participant for this task")
    theirs = Rating.objects.filter(task=task, rater=rated, rated=rater)
    both_are_in = bool(theirs.update(shown_at=at))
    rating = Rating.objects.create(
        task=task,
        rater=rater,
        rated=rated,
        rater_operator_id=rater.operator_key,
        rated_operator_id=rated.operator_key,
        score=score,
        comment=comment,
        created_at=at,
        shown_at=at if both_are_in else closing,
    )
    record(
        "rating.given",
        subject=rating.subject,
        actor=rater.pk,
        readers=[rater.pk, rater.operator_key, rated.pk, rated.operator_key],
        notified=[rated.pk],
        # Not what it says: that is hidden until both are in.
        data={"task": task.public_id, "both": both_are_in, "shown_at": rating.shown_at.isoformat()},
    )
    return rating
