"""What becomes of a task where it has a parent or subtasks: moments at which others have to act.

The package above, `delegation`, knows the rules of trees; tasks only say when. Whoever tells holds
the lock of the tree's root, so what is read in a moment is what is.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Protocol

from django.conf import settings
from django.db.models import Q

from marketplace.tasks.models import TEXTS, Claim, Task
from marketplace.tasks.states import TaskState


class Moment(Enum):
    """Something that concerns a task's parent, siblings or subtasks."""

    ENDING = "a task with subtasks ends, or has to close first, and nobody's delivery was accepted"
    ENDED = "a subtask has ended, and is saved"
    LEFT = "a task with subtasks has lost its worker"
    TAKEN = "a task with subtasks has a worker again"
    DISPUTED = "a panel judges a subtask"
    ACCEPTED = "a task with subtasks has been accepted"


class Reaction(Protocol):
    """What happens at a moment."""

    def __call__(self, task: Task, at: datetime, claim: Claim | None) -> None:
        """Let it happen to *task*; *claim* is the one that it lost, where it lost one."""


_reactions: dict[Moment, Reaction] = {}


def when(moment: Moment) -> Callable[[Reaction], Reaction]:
    """Register what happens at *moment*; there is one reaction to each."""

    def register(reaction: Reaction) -> Reaction:
        assert moment not in _reactions, f"{moment} has a reaction"
        _reactions[moment] = reaction
        return reaction

    return register


def tell(moment: Moment, task: Task, at: datetime, claim: Claim | None = None) -> None:
    """Let happen what follows from *moment*; nothing where the task stands alone.

    Transaction: the caller's, which holds the lock of the root. Round trips: none for a task that
    stands alone.
    """
    concerned = task.is_subtask if moment in (Moment.ENDED, Moment.DISPUTED) else task.children > 0
    if concerned:
        load(task)
        _reactions[moment](task, at, claim)


# Long, and no matter to what becomes of a task.
UNREAD = (*TEXTS, "requirements")


def load(task: Task) -> Mapping[uuid.UUID, Task]:
    """Load the tree of a task, so that each of its tasks is one object however it is reached.

    Returns:
        The tasks by their ids; `parent` of each, and `tree` of all, lead to the same objects.

    Transaction: the caller's, which holds the lock of the root. Round trips: one, the first time;
    none for a task that stands alone.
    """
    if task.tree is None:
        tree = {task.pk: task}
        if task.is_subtask or task.children:
            others = Task.objects.filter(in_tree(task.root)).exclude(pk=task.pk).order_by("pk")
            tree |= {
                one.pk: one for one in others.select_related("claim", "offered_to").defer(*UNREAD)
            }
        for one in tree.values():
            one.tree = tree
            if one.parent_id is not None:
                one.parent = tree[one.parent_id]
    assert task.tree is not None
    return task.tree


def in_tree(root: object) -> Q:
    """Return what finds the tree of a root, which is an id or a query for one.

    A root is not in the index `task_of_tree` of what is below one.
    """
    return Q(pk=root) | Q(root=root, parent__isnull=False)


def parent_of(task: Task) -> Task:
    """Return the parent of a subtask, as its tree has it."""
    assert task.parent_id is not None, "a subtask has a parent"
    return load(task)[task.parent_id]


def below(task: Task) -> Iterator[Task]:
    """Return every task below one, parents before their subtasks."""
    for one in subtasks_of(task):
        yield one
        yield from below(one)


def above(task: Task) -> Iterator[Task]:
    """Return every task above one, from its parent to the root."""
    while task.parent_id is not None:
        task = parent_of(task)
        yield task


def holds_up(subtask: Task, parent: Task) -> bool:
    """Say whether a parent waits for a subtask of its own before it is delivered, or ends.

    It does for those that its escrow pays, and for all that its present lead planned.
    """
    return subtask.is_paid_from_escrow or subtask.lead_claim_id == parent.claim_id


def subtasks_of(task: Task) -> list[Task]:
    """Return the direct subtasks of a task, in the order in which they were planned."""
    return [one for one in load(task).values() if one.parent_id == task.pk]


def above_work_of(operator: uuid.UUID) -> frozenset[uuid.UUID]:
    """Return the tasks on a part of which an operator, or an agent of theirs, works or is asked to.

    Round trips: two.
    """
    path, above = "", []
    for _ in range(settings.MOST_SUBTASK_LEVELS):
        path += "parent__"
        above.append(f"{path}id")
    subtasks = Task.objects.filter(parent__isnull=False)
    held = subtasks.filter(claims__operator=operator, claims__ended_at=None)
    asked = subtasks.filter(state=TaskState.OFFERED).filter(
        Q(offered_to=operator) | Q(offered_to__operator=operator)
    )
    rows = [*held.values_list(*above), *asked.values_list(*above)]
    return frozenset(one for row in rows for one in row if one is not None)
