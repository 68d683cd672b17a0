"""What the end of a task does to its subtasks, and that of a subtask to its parent (rule 15).

A task that ends without an accepted delivery cancels the subtasks that nobody holds and gives
notice to those who hold one. It stays `closing` until the last has ended, and only then its escrow
is divided. Callers hold the lock of the root.
"""

from datetime import datetime

from marketplace.delegation import clocks, waiting
from marketplace.delegation.dependencies import sibling_ended
from marketplace.delegation.leads import hand_over, running
from marketplace.events.log import record
from marketplace.tasks import ending, lineage
from marketplace.tasks.lineage import Moment, holds_up
from marketplace.tasks.models import Claim, Task
from marketplace.tasks.states import Role, TaskState

TREE = frozenset({Role.TREE})
UNHELD = frozenset({TaskState.BLOCKED, TaskState.OPEN, TaskState.OFFERED})
# A delivery is decided about; notice counts should it be rejected, so that nobody else takes it.
GIVEN_NOTICE = frozenset({TaskState.CLAIMED, TaskState.SUBMITTED})


@lineage.when(Moment.ENDING)
def close_subtasks(task: Task, at: datetime, claim: Claim | None) -> None:
    """A task ends unaccepted: so do its subtasks that nobody holds; the others are told."""
    del claim
    for one in list(running(task)):
        _close(one, at=at)
    hand_over(task, task.poster)


@lineage.when(Moment.ACCEPTED)
def settle_what_is_left(task: Task, at: datetime, claim: Claim | None) -> None:
    """A task was accepted: what its subtasks earned waits no longer (rule 15).

    All that it paid for has ended. What a former lead pays goes on, for it was not waited for, but
    is of no use to anybody any more.
    """
    del claim
    for one in list(running(task)):
        _close(one, at=at)
    waiting.release_funded_by(task, at=at)


@lineage.when(Moment.ENDED)
def subtask_ended(task: Task, at: datetime, claim: Claim | None) -> None:
    """A subtask has ended: clocks go on, siblings follow, and its parent may end in turn."""
    del claim
    parent = lineage.parent_of(task)
    if task.wages_wait_until is not None:
        waiting.tell_funder(task)
    clocks.go_on(lineage.above(task), at=at)
    if not parent.is_ended and holds_up(task, parent):
        parent.unsettled_children -= 1
        ending.save_transition(parent)
    if not parent.is_ended:
        sibling_ended(task, at=at)
    if parent.state == TaskState.CLOSING and parent.unsettled_children == 0:
        ending.end_closed(parent, at=at)


def _close(task: Task, *, at: datetime) -> None:
    """Cancel a running subtask that nobody holds, or give its worker notice."""
    if task.state in UNHELD and not task.entries:
        parties = task.parties
        ending.end_unaccepted(task, "cancel_with_tree", roles=TREE, at=at, claim_as=None)
        said = "task.cancelled"
    elif task.state in GIVEN_NOTICE and not task.is_contest and task.notice_ends_at is None:
        parties = task.parties
        task.advance("notice_with_tree", roles=TREE, at=at)
        task.notice_ends_at = task.one_lease_from(at)
        ending.save_transition(task)
        said = "task.notice_given"
    else:
        return
    record(
        said,
        subject=task.subject,
        actor=None,
        readers=parties,
        notified=parties,
        data={"task": task.public_id, "because": "parent_ended"},
    )
