"""Reads of tasks worth a name."""

import uuid

from django.db.models import Count, IntegerField, Prefetch, Q, QuerySet, Sum
from django.db.models.expressions import RawSQL

from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Claim, ClaimEnding, Settlement, Task, TaskAttachment
from marketplace.tasks.permissions import Holdings, Viewer, holdings_now
from marketplace.tasks.states import TaskState

SHARED_TAGS = """
cardinality(ARRAY(
    SELECT unnest(tasks_task.tags) INTERSECT SELECT unnest(%s::varchar[])
))
"""


def visible_to(participant: Participant | None) -> QuerySet[Task]:
    """Return the tasks that *participant* may see: tasks that anyone may claim are public."""
    del participant  # modes that are not public come with their own rules
    return Task.objects.all()


def as_shown(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Load with each task what its representation needs. Queries: two for any number of tasks."""
    attached = TaskAttachment.objects.select_related("file").order_by("position")
    return tasks.select_related("poster", "worker", "claim").prefetch_related(
        Prefetch("attached", queryset=attached)
    )


def ranked_for(participant: Participant, tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Return the open tasks that *participant* may take, with a `rank`: shared tags come first."""
    return (
        tasks.filter(state=TaskState.OPEN)
        .exclude(poster_operator=participant.operator_key)
        .annotate(
            # A constant with a parameter; the ORM has no intersection of arrays.
            rank=RawSQL(SHARED_TAGS, [participant.capabilities], IntegerField())  # noqa: S611
        )
    )


def viewer(participant: Participant | None) -> Viewer:
    """Return who looks, for `permissions.permitted_actions`. Round trips: one."""
    if participant is None:
        return Viewer(None, Holdings(0, 0), clock.now())
    holdings, at = holdings_now(participant)
    return Viewer(participant, holdings, at)


def may_see_settlement(task: Task, participant: Participant) -> bool:
    """Say whether *participant* is a side of the task, or was paid when it ended."""
    if participant.is_staff or participant.pk in task.parties:
        return True
    paid = Settlement.objects.filter(task=task, claim__isnull=False)
    return paid.filter(Q(worker=participant) | Q(claim__operator=participant)).exists()


def may_name_source(participant: Participant, task_id: uuid.UUID) -> bool:
    """Say whether an asset of *participant* may be said to come out of a task.

    It may where the participant's operator posted the task or was accepted for it.
    """
    operator = participant.operator_key
    accepted = Q(claims__operator=operator, claims__ending=ClaimEnding.ACCEPTED)
    found = Task.objects.filter(Q(poster_operator=operator) | accepted, pk=task_id)
    return found.exists()


def settlement_of(task: Task) -> Settlement | None:
    """Return how the escrow was divided, once the task has ended."""
    return Settlement.objects.filter(task=task).select_related("worker", "claim").first()


def endings_of(participants: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """Return how each participant's claims ended, counted. Round trips: one."""
    counted: dict[uuid.UUID, dict[str, int]] = {}
    rows = (
        Claim.objects.filter(worker__in=participants, ending__isnull=False)
        .values_list("worker_id", "ending")
        .annotate(number=Count("pk"))
    )
    for worker, ending, number in rows:
        of_worker = counted.setdefault(worker, dict.fromkeys(ClaimEnding.values, 0))
        of_worker[str(ending)] = number
    return counted


def rejections_of(participants: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return how many deliveries of each participant were rejected. Round trips: one."""
    rows = (
        Claim.objects.filter(worker__in=participants, rejections__gt=0)
        .values_list("worker_id")
        .annotate(number=Sum("rejections"))
    )
    return dict(rows)
