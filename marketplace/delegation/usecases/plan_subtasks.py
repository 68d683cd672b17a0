"""The worker of a task splits it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from credits.errors import InsufficientCredits
from marketplace.delegation.models import Dependency
from marketplace.delegation.plans import Entry, about, check_entries, in_order, new_ids
from marketplace.files.attachments import files_to_attach
from marketplace.files.models import File
from marketplace.foundation import clock
from marketplace.foundation.batching import together
from marketplace.foundation.transactions import use_case
from marketplace.participants.dealings import require_free
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, lineage, offers, permissions, posting, sources
from marketplace.tasks.models import Source, Task
from marketplace.tasks.states import ENDED, TaskState
from marketplace.tasks.terms import InvalidTerms, spans_within


class PlanUnaffordable(InsufficientCredits):
    """The lead's wallet holds too little for the subtasks that it pays.

    Attributes:
        field: The first entry that it does not cover, as the API names it.
    """

    def __init__(self, *, required: int, available: int, account: int, field: str) -> None:
        super().__init__(required=required, available=available, account=account)
        self.field = field


def require_lead(task: Task, actor: Participant) -> None:
    """Check without a lock that somebody may split a task, so that nothing slow is done for others.

    What is overdue is left to `plan_subtasks`, which asks again.

    Raises:
        Task.DoesNotExist: Staff hide it, and the actor is none of its sides.
        IllegalTransition, NotPermitted: See `permissions.require`.

    Round trips: one; two where it is refused.
    """
    at = clock.now()
    if task.worker_id != actor.pk or not permissions.is_overdue(task, at):
        permissions.require(task, "delegate", task.roles_of(actor), at)


@dataclass(frozen=True, slots=True)
class _New:
    """A subtask on its way."""

    place: int
    task: Task
    assignee: Participant | None
    files: Sequence[File]
    waits_for: Sequence[Task]


@use_case
def plan_subtasks(
    *, task_id: uuid.UUID, actor: Participant, entries: Sequence[Entry]
) -> list[Task]:
    """Split a task: create all subtasks of a plan, funded, or none (rules 13 and 14).

    Args:
        task_id: The task that is split.
        actor: Its worker, who becomes the lead: the poster of the subtasks.
        entries: The subtasks.

    Returns:
        The new tasks, in the order of *entries*.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: The actor does not hold it; see `permissions.require`.
        InvalidTerms: An entry cannot be: its key, bounty, mode, assignee, deadline or dependencies;
            or there are too many. The field says which entry.
        UnknownFile: An attachment that is not the actor's.
        EscrowExhausted: The budgets pass what the poster granted, or what the escrow has left.
        PlanUnaffordable, AllowanceExceeded: They pass what the lead's wallet can pay.
        Frozen, PosterFrozen, Blocked: The lead, or an assignee, enters into nothing new.

    Locks: the operators of the actor and of assignees, the root, the task; then the allowance and
    the accounts. Round trips: about fifteen, whatever the number of subtasks; more for assignees
    and attachments.
    """
    check_entries(entries)
    assignees = _assignees(entries)
    Participant.objects.lock_operators(
        [actor.operator_key, *(one.operator_key for one in assignees.values())]
    )
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles = task.roles_of(actor)
    permissions.require(task, "delegate", roles, now)
    _check_room(task, entries)
    require_free(actor)
    for place, assignee in assignees.items():
        with about(place):
            offers.require_offerable(assignee, actor)
    planned = _planned(task, actor, entries, assignees, now)
    new = [one.task for one in planned]
    Task.objects.bulk_create(new)
    posting.attach([(one.task, one.files) for one in planned])
    Dependency.objects.bulk_create(
        [
            Dependency(task=one.task, predecessor=waited)
            for one in planned
            for waited in one.waits_for
        ]
    )
    _fund(task, actor, entries, new)
    task.children += len(new)
    task.unsettled_children += len(new)
    task.save(update_fields=["children", "unsettled_children"])
    with together():
        for one in planned:
            posting.record_posted(one.task, actor)
            if one.task.state == TaskState.OFFERED:
                offers.tell(one.task, actor)
    return new


def _assignees(entries: Sequence[Entry]) -> Mapping[int, Participant]:
    found = {}
    for place, entry in enumerate(entries):
        if entry.wanted.assignee is not None:
            with about(place):
                found[place] = posting.find_assignee(entry.wanted.assignee)
    return found


def _check_room(task: Task, entries: Sequence[Entry]) -> None:
    """Check that the tree takes as many more.

    Raises:
        InvalidTerms: It does not; the field names the first entry that is too many.
    """
    below = [one for one in lineage.load(task).values() if one.is_subtask]
    failed = ENDED - {TaskState.ACCEPTED}
    counted = [one for one in below if one.state not in failed]
    own = sum(one.parent_id == task.pk for one in counted)
    rooms = (
        (settings.MOST_SUBTASKS - own, "too_many_subtasks", settings.MOST_SUBTASKS),
        (settings.MOST_TASKS_IN_TREE - len(counted), "tree_full", settings.MOST_TASKS_IN_TREE),
        (
            settings.MOST_TASKS_EVER_IN_TREE - len(below),
            "tree_full",
            settings.MOST_TASKS_EVER_IN_TREE,
        ),
    )
    for room, code, most in rooms:
        if len(entries) > room:
            whose = "A task" if code == "too_many_subtasks" else "A whole tree"
            raise InvalidTerms(
                field=f"subtasks/{max(room, 0)}",
                code=code,
                detail=f"{whose} has at most {most} subtasks.",
            )


def _planned(
    parent: Task,
    actor: Participant,
    entries: Sequence[Entry],
    assignees: Mapping[int, Participant],
    now: datetime,
) -> list[_New]:
    """Return the new tasks in the order of the plan; their ids rise in that of dependencies."""
    siblings = lineage.subtasks_of(parent)
    order = in_order(entries, siblings)
    ids = new_ids(parent.pk, siblings, len(entries))
    known: dict[str | uuid.UUID, Task] = {one.pk: one for one in siblings}
    barred = sorted({*parent.above, actor.operator_key})
    made: dict[int, _New] = {}
    for (place, names), own_id in zip(order, ids, strict=True):
        entry = entries[place]
        with about(place):
            spans = spans_within(entry.wanted, parent, now)
        files = files_to_attach(
            entry.wanted.attachments, uploader=actor.pk, field=f"subtasks/{place}/attachments"
        )
        from_escrow = entry.source == Source.ESCROW
        task = posting.draft(
            entry.wanted,
            spans,
            poster=actor,
            at=now,
            id=own_id,
            root=parent.root,
            parent=parent,
            lead=actor,
            lead_claim_id=parent.claim_id,
            key=entry.key,
            depth=parent.depth + 1,
            source=entry.source,
            charged=entry.wanted.bounty if from_escrow else 0,
            funding_root=parent.funding_root if from_escrow else own_id,
            funder=(parent.funder or parent.poster) if from_escrow else None,
            barred=barred,
        )
        waits_for = [known[name] for name in names]
        assignee = assignees.get(place)
        if assignee is not None:
            with about(place):
                posting.check_assignee(assignee, task)
        if all(one.state == TaskState.ACCEPTED for one in waits_for):
            posting.begin(task, assignee, at=now)
        else:
            task.state, task.assignee = TaskState.BLOCKED, assignee
            deadlines.schedule(task)
        known[entry.key] = task
        made[place] = _New(place, task, assignee, files, waits_for)
    return [made[place] for place in sorted(made)]


def _fund(parent: Task, actor: Participant, entries: Sequence[Entry], new: Sequence[Task]) -> None:
    """Move the budgets into the subtasks' own escrows, those of the wallet first."""
    memo = f"Subtasks: {parent.title}"[:200]
    by_source: dict[Source, list[int]] = {Source.WALLET: [], Source.ESCROW: []}
    for place, entry in enumerate(entries):
        by_source[entry.source].append(place)
    for source, places in by_source.items():
        if not places:
            continue
        tasks = [new[place] for place in places]
        reference = f"plan:{tasks[0].public_id}"
        if source == Source.ESCROW:
            sources.require_delegable(
                parent, {f"subtasks/{place}/bounty": new[place].bounty for place in places}
            )
            sources.fund(tasks, actor=actor, parent=parent, reference=reference, memo=memo)
            continue
        try:
            sources.fund(tasks, actor=actor, parent=None, reference=reference, memo=memo)
        except InsufficientCredits as error:
            raise _unaffordable(error, places, tasks) from error


def _unaffordable(
    error: InsufficientCredits, places: Sequence[int], tasks: Sequence[Task]
) -> PlanUnaffordable:
    asked, first = 0, places[-1]
    for place, task in zip(places, tasks, strict=True):
        asked += task.bounty
        if asked > error.available:
            first = place
            break
    return PlanUnaffordable(
        required=sum(task.bounty for task in tasks),
        available=error.available,
        account=error.account,
        field=f"subtasks/{first}/bounty",
    )
