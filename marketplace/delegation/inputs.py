"""What the parts of a task left behind, and who may read it (rules 9, 14 and 15).

A subtask receives the accepted deliveries of those it waited for. A task that changed hands keeps
the accepted deliveries that its escrow paid, and its next worker receives them.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from marketplace.delegation.models import Dependency
from marketplace.delegation.trees import Place
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.delivery.queries import also_seen_by, visible_to
from marketplace.participants.models import Participant
from marketplace.tasks.models import Source, Task
from marketplace.tasks.queries import visible_to as visible_tasks
from marketplace.tasks.states import TaskState

ACCEPTED = Q(state=DeliveryState.ACCEPTED)


def _is_of(participant: Participant, task: str) -> Q:
    """Return the condition that *participant*, or who it operates, holds a task or held it last."""
    return Q(**{f"{task}worker": participant}) | Q(**{f"{task}worker_operator": participant})


def _posted(participant: Participant, task: str) -> Q:
    return Q(**{f"{task}poster": participant}) | Q(**{f"{task}poster_operator": participant})


@also_seen_by
def deliveries_of_parts(reader: Participant) -> Q:
    """Return the condition for deliveries of subtasks that are *reader*'s to see.

    Posters above see what is paid out of their escrows, however deep, and what a lead's wallet paid
    when that lead's own work has been accepted: what another one had made stays theirs. Workers see
    what they build on.
    """
    seen = Q()
    reached, path = Q(), "task__"
    for _ in range(settings.MOST_SUBTASK_LEVELS):
        # Upwards as far as the escrow pays, or what was built with it was accepted.
        above = f"{path}parent__"
        reached &= Q(**{f"{path}source": Source.ESCROW}) | Q(
            **{
                f"{path}source": Source.WALLET,
                f"{path}lead_claim": F(f"{above}claim"),
                f"{above}state": TaskState.ACCEPTED,
            }
        )
        seen |= reached & _posted(reader, above)
        path = above
    # A contest's entries are sealed until one of them is accepted.
    seen &= ACCEPTED | Q(is_entry=False)
    leads = Q(task__source=Source.ESCROW) & _is_of(reader, "task__parent__")
    waits = Dependency.objects.filter(predecessor=OuterRef("task"))
    builds_on = waits.filter(_is_of(reader, "task__"))
    return seen | (ACCEPTED & (leads | Q(Exists(builds_on))))


@dataclass(frozen=True, slots=True)
class Input(Place):
    """An accepted subtask that somebody builds on.

    Attributes:
        delivery: What was delivered for it; None where it is not the reader's to see.
    """

    delivery: Delivery | None


def dependencies_of(tasks: Iterable[Task]) -> Mapping[uuid.UUID, Sequence[uuid.UUID]]:
    """Return what each of some tasks waits for, or waited. Round trips: none without subtasks."""
    subtasks = [task.pk for task in tasks if task.is_subtask]
    found: dict[uuid.UUID, list[uuid.UUID]] = {}
    if subtasks:
        rows = Dependency.objects.filter(task__in=subtasks).order_by("predecessor")
        for task, predecessor in rows.values_list("task", "predecessor"):
            found.setdefault(task, []).append(predecessor)
    return found


def inputs_of(task: Task, reader: Participant | None) -> list[Input]:
    """Return what a task builds on: what it waited for, and what former leads had made for it.

    Round trips: none for a task that stands alone, else two.
    """
    if not task.is_subtask and not task.children:
        return []
    waited = Q(dependants__task=task)
    left = Q(parent=task, source=Source.ESCROW) & ~Q(lead_claim=task.claim_id)
    found = Task.objects.filter(waited | left, state=TaskState.ACCEPTED)
    return _delivered(found.distinct(), reader)


def parts_of(delivery: Delivery, reader: Participant | None) -> list[Input]:
    """Return the accepted subtasks that a delivery is made of.

    Those are what its worker had made for it, and what the escrow had paid before.

    Round trips: none for a task without subtasks, else two.
    """
    if not delivery.task.children:
        return []
    parts = Task.objects.filter(
        Q(source=Source.ESCROW) | Q(lead_claim=delivery.claim_id),
        parent=delivery.task_id,
        state=TaskState.ACCEPTED,
        ended_at__lte=delivery.created_at,
    )
    return _delivered(parts, reader)


def _delivered(tasks: QuerySet[Task], reader: Participant | None) -> list[Input]:
    seen = visible_tasks(reader).filter(pk=OuterRef("pk"))
    found = tasks.annotate(is_seen=Exists(seen)).select_related("worker").defer("search")
    parts = list(found.order_by("pk"))
    deliveries = visible_to(reader).filter(ACCEPTED, task__in=parts) if parts else []
    of_task = {delivery.task_id: delivery for delivery in deliveries}
    return [Input(task, task.is_seen, of_task.get(task.pk)) for task in parts]
