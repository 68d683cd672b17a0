"""Subtasks that wait for their siblings: they open by themselves, or fall with them (rule 14)."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from marketplace.delegation.models import Dependency
from marketplace.events.log import record
from marketplace.participants.dealings import Blocked, Frozen, PosterFrozen
from marketplace.participants.models import Participant
from marketplace.tasks import ending, lineage, offers
from marketplace.tasks.deadlines import Limit, when_passed
from marketplace.tasks.models import OnDecline, Task
from marketplace.tasks.states import Role, TaskState

TREE = frozenset({Role.TREE})
CLOCK = frozenset({Role.CLOCK})


def waiting_for(task: Task) -> Mapping[Task, Sequence[Task]]:
    """Return the blocked siblings that wait for a task, each with all that it waits for.

    Round trips: one where the task has a blocked sibling.
    """
    siblings = {one.pk: one for one in lineage.subtasks_of(lineage.parent_of(task))}
    blocked = [one.pk for one in siblings.values() if one.state == TaskState.BLOCKED]
    if not blocked:
        return {}
    waits: dict[uuid.UUID, list[Task]] = {}
    for waiter, waited in Dependency.objects.filter(task__in=blocked).values_list(
        "task", "predecessor"
    ):
        waits.setdefault(waiter, []).append(siblings[waited])
    return {siblings[pk]: waited for pk, waited in waits.items() if task in waited}


def sibling_ended(task: Task, *, at: datetime) -> None:
    """Let what waited for a subtask follow it: open when all is in, or be cancelled.

    Transaction: the caller's, which holds the lock of the root.
    """
    for waiter, waited in waiting_for(task).items():
        if task.state != TaskState.ACCEPTED:
            if waiter.state == TaskState.BLOCKED:  # or it fell with another that waits for it
                _fall(waiter, because="predecessor_failed", predecessor=task, at=at)
        elif all(one.state == TaskState.ACCEPTED for one in waited):
            _open(waiter, at=at)


@when_passed(Limit.LAPSE_BLOCKED)
def lapse(task: Task, at: datetime) -> None:
    """The deadline passed, and what the subtask waits for is not in: cancelled, with a refund."""
    ending.end_unaccepted(task, "lapse_blocked", roles=CLOCK, at=at, claim_as=None)
    _tell_lead(task, because="deadline")


def _fall(waiter: Task, *, because: str, predecessor: Task | None = None, at: datetime) -> None:
    ending.end_unaccepted(waiter, "cancel_with_tree", roles=TREE, at=at, claim_as=None)
    _tell_lead(waiter, because=because, predecessor=predecessor)


def _tell_lead(task: Task, *, because: str, predecessor: Task | None = None) -> None:
    record(
        "task.cancelled",
        subject=task.subject,
        actor=None,
        readers=task.parties,
        notified=task.parties,
        data={
            "task": task.public_id,
            "because": because,
            "predecessor": None if predecessor is None else predecessor.public_id,
            "key": task.key,
        },
    )


def _is_offerable(waiter: Task, assignee: Participant) -> bool:
    """Say whether a subtask can be offered to its assignee; else it is as if they had declined.

    Meanwhile they may have been frozen or blocked, or lead a task above it. Whoever is asked in
    that moment answers for themselves.
    """
    try:
        offers.require_offerable(assignee, waiter.poster)
    except (Frozen, PosterFrozen, Blocked):
        return False
    return offers.may_take(assignee, waiter)


def _open(waiter: Task, *, at: datetime) -> None:
    assignee, waiter.assignee = waiter.assignee, None
    verb = "unblock"
    if assignee is not None:
        if _is_offerable(waiter, assignee):
            verb = "offer"
        elif waiter.on_decline == OnDecline.CANCEL:
            _fall(waiter, because="declined", at=at)
            return
    waiter.advance(verb, roles=TREE, at=at)
    if verb == "offer":
        assert assignee is not None, "offered to somebody"
        waiter.offer(assignee, at=at)
        offers.tell(waiter, waiter.poster)
    ending.save_transition(waiter)
    record(
        "task.unblocked",
        subject=waiter.subject,
        actor=None,
        readers=waiter.parties,
        notified=waiter.parties,
        data={"task": waiter.public_id, "state": waiter.state},
    )
