"""A tree as it is shown: a task and all below it, how far they are, and what their end waits for.

Whoever may see the task sees the tree. What was agreed in it, and who does what, is told to staff
and to the sides of a task and of those above it: so the poster of the root reads all (rule 16).
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import TopologicalSorter

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q

from marketplace.delegation.models import Dependency
from marketplace.foundation.clock import MarketNow
from marketplace.participants.models import Participant
from marketplace.tasks.division import BASIS_POINTS, share_down
from marketplace.tasks.lineage import UNREAD, holds_up
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to
from marketplace.tasks.states import TaskState

NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Node:
    """One task of a tree, as somebody sees it.

    Attributes:
        task: With its poster, lead and worker; without its texts.
        waits_for: The siblings that it depends on, in the order in which they were planned.
        is_seen: Whether its title may be shown; staff hide some from others.
        is_told: Whether the viewer is told what was agreed, and who does it.
    """

    task: Task
    waits_for: Sequence[uuid.UUID]
    is_seen: bool
    is_told: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """A task and all below it, at one moment.

    Attributes:
        above: From the root to the task's parent; empty for a root.
        nodes: The task, then all below it: each before its own subtasks, siblings as planned.
        at: The market's time.
    """

    above: Sequence[Node]
    nodes: Sequence[Node]
    at: datetime

    @property
    def top(self) -> Node:
        """Return the task whose tree it is."""
        return self.nodes[0]

    @property
    def waits(self) -> Mapping[uuid.UUID, Collection[uuid.UUID]]:
        """Return what each unfinished task waits for that is unfinished as well.

        These are the siblings that it depends on, and the subtasks before whose end it is not
        delivered.
        """
        running = {node.task.pk: node for node in self.nodes if not node.task.is_ended}
        found = {pk: [one for one in node.waits_for if one in running] for pk, node in running.items()}
        for node in running.values():
            parent = running.get(node.task.parent_id) if node.task.parent_id else None
            if parent is not None and holds_up(node.task, parent.task):
                found[parent.task.pk].append(node.task.pk)
        return found

    @property
    def critical_path(self) -> Sequence[uuid.UUID]:
        """Return the chain of unfinished tasks that the end of the whole waits for longest."""
        if self.top.task.is_ended:
            return []
        takes = {
            node.task.pk: time_left(node.task, self.at)
            for node in self.nodes
            if not node.task.is_ended
        }
        return longest_chain(self.waits, takes, self.top.task.pk)


def tree_of(task_id: uuid.UUID, viewer: Participant | None) -> Tree:
    """Return a task and all below it, as *viewer* sees them. Round trips: one, whatever the size.

    Raises:
        Task.DoesNotExist: No such task, or not for the viewer.
    """
    seen = visible_to(viewer)
    root = seen.filter(pk=task_id).values("root")[:1]
    predecessors = Dependency.objects.filter(task=OuterRef("pk")).order_by("predecessor")
    rows = (
        # A root is not in the index of those that have one; see the index `task_of_tree`.
        Task.objects.filter(Q(pk=root) | Q(root=root, parent__isnull=False))
        .annotate(
            waits_for=ArraySubquery(predecessors.values("predecessor")),
            is_seen=Exists(seen.filter(pk=OuterRef("pk"))),
            read_at=MarketNow(),
        )
        .select_related("poster", "lead", "worker")
        .defer(*UNREAD[1:], "verification", "dispute_terms")
        .order_by("pk")
    )
    found = {row.pk: row for row in rows}
    if task_id not in found:
        raise Task.DoesNotExist
    above = list(_above(found, found[task_id]))[::-1]
    below: dict[uuid.UUID | None, list[Task]] = {}
    for row in found.values():
        below.setdefault(row.parent_id, []).append(row)

    def told(task: Task) -> bool:
        return is_told([task, *_above(found, task)], viewer)

    def node(task: Task) -> Node:
        return Node(task, row.waits_for, row.is_seen, told(task))

    ...
