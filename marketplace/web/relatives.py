"""What the page of a task says about the tree around it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch, prefetch_related_objects

from credits import amounts
from marketplace.delegation.inputs import Input, inputs_of
from marketplace.delegation.models import WageRelease
from marketplace.delegation.trees import Node, Progress, Tree, progress_of, tree_of
from marketplace.delegation.waiting import payments_waiting, released_of
from marketplace.delivery.models import DeliveryFile
from marketplace.participants.models import Participant
from marketplace.tasks.lineage import holds_up
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to
from marketplace.tasks.sources import limit_of
from marketplace.tasks.states import TaskState


@dataclass(frozen=True, slots=True)
class Relatives:
    """A task's place among others, as somebody sees it.

    Attributes:
        tree: The task and all below it.
        waits_for: What it waits for, or waited.
        inputs: The accepted deliveries that it builds on.
        waiting: What its workers earned and have not been paid, in micro-credits.
        released: What became of the rest that waited, to those whom it concerns.
        funder: Who may dispute that.
    """

    tree: Tree
    waits_for: Sequence[Task]
    inputs: Sequence[Input]
    waiting: int
    released: Sequence[WageRelease]
    funder: Participant | None

    @property
    def own(self) -> Node:
        """Return the task itself."""
        return self.tree.top

    @property
    def subtasks(self) -> list[Node]:
        """Return the direct subtasks."""
        return [one for one in self.tree.nodes if one.task.parent_id == self.own.task.pk]

    @property
    def holding_up(self) -> list[Node]:
        """Return the subtasks before whose end the task is not delivered, and does not end."""
        own = self.own.task
        return [one for one in self.subtasks if not one.task.is_ended and holds_up(one.task, own)]

    @property
    def progress(self) -> Progress:
        """Return how far all below it is."""
        return progress_of([one.task for one in self.tree.nodes[1:]])


def relatives_of(task: Task, reader: Participant | None) -> Relatives | None:
    """Return a task's place in its tree; None where it stands alone.

    Round trips: none for a task that stands alone; else one, and up to seven for what it waits for,
    for what it builds on, and for what it earned.
    """
    if not task.is_subtask and not task.children:
        return None
    inputs = inputs_of(task, reader)
    files = DeliveryFile.objects.select_related("file").order_by("position")
    delivered = [one.delivery for one in inputs if one.delivery is not None]
    prefetch_related_objects(delivered, Prefetch("delivered", queryset=files))
    waits_for = visible_to(reader).filter(dependants__task=task).defer("search").order_by("pk")
    tree = tree_of(task.pk, reader)
    waits = task.wages_wait_until is not None
    earned = task.is_paid_from_escrow and task.state == TaskState.ACCEPTED
    return Relatives(
        tree=tree,
        waits_for=list(waits_for) if task.is_subtask else [],
        inputs=inputs,
        waiting=sum(one.amount for one in payments_waiting([task])) if waits else 0,
        released=list(released_of(task)) if earned and tree.top.is_told else [],
        funder=task.funder if waits and task.claim_id is not None else None,
    )


def delegable(task: Task) -> str:
    """Return what whoever works on a task may pay for subtasks; empty where that is nothing."""
    if not task.delegation_bps:
        return ""
    return f"up to {amounts.format(limit_of(task))} of {amounts.format(task.priced)}"
