"""The checks of a delivery have ended: act on their verdicts."""

import uuid

from marketplace.delivery import contests, review
from marketplace.delivery.models import Delivery, DeliveryState, Verdict
from marketplace.foundation.transactions import use_case
from marketplace.tasks.models import Task


@use_case
def conclude_checks(*, delivery_id: uuid.UUID) -> bool:
    """Act on a delivery's verdicts, once, when all its required checks have ended.

    Returns:
        Whether this call was the one that acted.

    Locks: the task; where they settle, the accounts that are paid.
    """
    task_id = Delivery.objects.values_list("task_id", flat=True).get(pk=delivery_id)
    task, now = Task.objects.lock(task_id)
    delivery = Delivery.objects.get(pk=delivery_id)
    if delivery.state != DeliveryState.SUBMITTED or delivery.checks_ended_at is not None:
        return False
    runs = review.required_runs(delivery)
    if any(run.state == Verdict.PENDING for run in runs):
        return False
    if delivery.is_entry:
        contests.entry_checked(task, delivery, runs, at=now)
    else:
        review.conclude(task, delivery, runs, at=now)
    return True
