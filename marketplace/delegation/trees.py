"""A tree as it is shown: a task and all below it, how far they are, and what their end waits for.

Whoever may see the task sees the tree. What was agreed in it is told to staff and to the sides of a
task and of those above it: so the poster of the root reads all (rule 16).
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import TopologicalSorter

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef

from marketplace.delegation.models import Dependency
from marketplace.foundation.clock import MarketNow
from marketplace.participants.models import Participant
from marketplace.tasks.division import BASIS_POINTS
from marketplace.tasks.lineage import UNREAD, holds_up, in_tree
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to
from marketplace.tasks.states import TaskState

NO_TIME = timedelta(0)
SIDES = ("poster", "poster_operator", "worker", "worker_operator")


@dataclass(frozen=True, slots=True)
class Place:
    """A task that is named where others are shown. Staff hide some, and those keep their places.

    Attributes:
        task: With its worker; without its texts.
        is_seen: Whether the viewer may see it.
    """

    task: Task
    is_seen: bool

    @property
    def is_hidden(self) -> bool:
        """Say whether staff keep its words from the viewer."""
        return not self.is_seen

    @property
    def key(self) -> str:
        """Return its name among its siblings; empty where it is hidden."""
        return self.task.key if self.is_seen else ""

    @property
    def title(self) -> str:
        """Return its title; empty where it is hidden."""
        return self.task.title if self.is_seen else ""

    @property
    def worker(self) -> Participant | None:
        """Return who works on it, or was accepted; None where it is hidden."""
        return self.task.worker if self.is_seen else None


@dataclass(frozen=True, slots=True)
class Node(Place):
    """One task of a tree, as somebody sees it.

    Attributes:
        task: With its poster, lead and worker; without its texts.
        waits_for: The siblings that it depends on, in the order in which they were planned.
        is_told: Whether the viewer is told what was agreed.
        is_side: Whether the viewer is a side of it or of a task above it, or staff.
    """

    waits_for: Sequence[uuid.UUID]
    is_told: bool
    is_side: bool

    @property
    def lead(self) -> Participant | None:
        """Return who planned it; None where it is hidden, and of a root."""
        return self.task.lead if self.is_seen else None


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
        found = {
            pk: [one for one in node.waits_for if one in running] for pk, node in running.items()
        }
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
        Task.objects.filter(in_tree(root))
        .annotate(
            waits_for=ArraySubquery(predecessors.values("predecessor")),
            is_seen=Exists(seen.filter(pk=OuterRef("pk"))),
            read_at=MarketNow(),
        )
        .select_related("poster", "lead", "worker")
        .defer(*UNREAD, "dispute_terms")
        .order_by("pk")  # so each comes after what it is a part of
    )
    nodes: dict[uuid.UUID, Node] = {}
    at = None
    for row in rows:
        above = None if row.parent_id is None else nodes[row.parent_id]
        is_side = _is_side(row, viewer) or (above is not None and above.is_side)
        nodes[row.pk] = Node(
            task=row,
            waits_for=row.waits_for,
            is_seen=row.is_seen,
            is_side=is_side,
            is_told=is_side or (viewer is not None and viewer.pk in row.parties),
        )
        at = at or row.read_at
    if task_id not in nodes or at is None:
        raise Task.DoesNotExist
    order = in_order({pk: node.task.parent_id for pk, node in nodes.items()}, task_id)
    return Tree(_above(nodes, task_id), [nodes[one] for one in order], at)


def is_side(task: Task, viewer: Participant | None) -> bool:
    """Say whether *viewer* is staff, or a side of a task or of one above it (rule 16).

    Round trips: at most one.
    """
    if viewer is None or _is_side(task, viewer) or not task.is_subtask:
        return _is_side(task, viewer)
    rows = Task.objects.filter(in_tree(task.root), depth__lt=task.depth)
    above = {row.pk: row for row in rows.only("parent", *SIDES)}
    parent = task.parent_id
    while parent is not None:
        if _is_side(above[parent], viewer):
            return True
        parent = above[parent].parent_id
    return False


def _is_side(task: Task, viewer: Participant | None) -> bool:
    """Say whether *viewer* reads what was agreed in a task and in all below it."""
    if viewer is None:
        return False
    return viewer.is_staff or viewer.pk in [getattr(task, f"{side}_id") for side in SIDES]


def _above(nodes: Mapping[uuid.UUID, Node], task_id: uuid.UUID) -> list[Node]:
    """Return what a task is a part of, the root first."""
    found: list[Node] = []
    parent = nodes[task_id].task.parent_id
    while parent is not None:
        found.insert(0, nodes[parent])
        parent = nodes[parent].task.parent_id
    return found


def in_order(parents: Mapping[uuid.UUID, uuid.UUID | None], top: uuid.UUID) -> Iterator[uuid.UUID]:
    """Return a task, and after each its subtasks with all below them.

    Args:
        parents: What each task of a tree is a part of; siblings in the order of their ids.
        top: Where to begin; what is not below it is left out.
    """
    parts: dict[uuid.UUID | None, list[uuid.UUID]] = {}
    for one, parent in parents.items():
        parts.setdefault(parent, []).append(one)
    left = [top]
    while left:
        one = left.pop()
        yield one
        left.extend(reversed(parts.get(one, ())))


def time_left(task: Task, at: datetime) -> timedelta:
    """Return how long a task that has not ended may still take by its terms, without subtasks.

    What nobody has begun takes a lease, or what is left to its deadline where that is less; a
    contest always stays open to the end. What somebody holds takes what is left of the limit that
    runs for them. A review follows, as long as its window is. What is under review or disputed
    takes until the limit that runs now, and what only waits for its last subtask takes no time.
    """
    at = task.own_time(at)
    if task.state == TaskState.CLOSING:
        return NO_TIME
    judged_by = task.dispute_due_at or task.with_staff_until or task.review_due_at
    if judged_by is not None:
        return max(judged_by - at, NO_TIME)
    review = timedelta(seconds=task.review_window_seconds)
    if task.state == TaskState.SUBMITTED:  # its checks run
        return review
    held_until = task.resubmit_by or task.notice_ends_at or task.claim_expires_at
    done_by = held_until or (task.deadline if task.is_contest else task.one_lease_from(at))
    return max(done_by - at, NO_TIME) + review


def longest_chain(
    waits: Mapping[uuid.UUID, Collection[uuid.UUID]],
    takes: Mapping[uuid.UUID, timedelta],
    last: uuid.UUID,
) -> list[uuid.UUID]:
    """Return the chain of tasks, each waiting for the one before, that takes longest in all.

    It begins with one that waits for nothing and ends with *last*; nothing that *last* waits for,
    over however many others, can put off its end more. Of equals the one with the lowest id.

    Args:
        waits: What each task waits for, without cycles.
        takes: How long each still takes when what it waits for has ended.
        last: Where the chain ends.

    Complexity: linear in the tasks and in what they wait for.
    """
    ends: dict[uuid.UUID, timedelta] = {}
    before: dict[uuid.UUID, uuid.UUID] = {}
    for one in TopologicalSorter(waits).static_order():
        begins = NO_TIME
        for waited in sorted(waits[one]):
            if one not in before or ends[waited] > begins:
                before[one], begins = waited, ends[waited]
        ends[one] = begins + takes[one]
    chain = [last]
    while chain[-1] in before:
        chain.append(before[chain[-1]])
    return chain[::-1]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a tree is. Micro-credits; what a task pays on to subtasks counts as theirs.

    Attributes:
        tasks: All of them, with the one on top.
        accepted: Those that were accepted.
        running: Those that have not ended.
        failed: Those that ended otherwise.
        bounty_accepted: What the accepted ones keep of their bounties.
        bounty: What those keep that are accepted or running.
    """

    tasks: int
    accepted: int
    running: int
    failed: int
    bounty_accepted: int
    bounty: int

    @property
    def share_bps(self) -> int:
        """Return how much of the bounty is accepted, in basis points, rounded down."""
        return self.bounty_accepted * BASIS_POINTS // self.bounty if self.bounty else 0


def progress_of(tasks: Collection[Task]) -> Progress:
    """Return how far tasks are; those that failed are no part of the bounty that is to be done."""
    accepted = [task for task in tasks if task.state == TaskState.ACCEPTED]
    running = [task for task in tasks if not task.is_ended]
    kept = sum(task.held for task in accepted)
    return Progress(
        tasks=len(tasks),
        accepted=len(accepted),
        running=len(running),
        failed=len(tasks) - len(accepted) - len(running),
        bounty_accepted=kept,
        bounty=kept + sum(task.held for task in running),
    )
