"""Reads of tasks worth a name."""

import uuid

from django.db.models import Count, IntegerField, Prefetch, QuerySet, Sum
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


def is_party(task: Task, participant: Participant | None) -> bool:
    """Say whether *participant* posted the task, works on it, or worked on it before."""
    if participant is None:
        return False
    if participant.pk in task.parties:
        return True
    return Claim.objects.filter(task=task, worker=participant).exists()


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
