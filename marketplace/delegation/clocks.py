"""The limits of the tasks above a disputed one stand still (rule 15).

A lead cannot deliver before its subtasks have ended, and no lead can hurry a panel.
"""

from collections.abc import Iterable
from datetime import datetime

from marketplace.tasks import lineage
from marketplace.tasks.ending import save_transition
from marketplace.tasks.lineage import Moment, holds_up
from marketplace.tasks.models import Claim, Task
from marketplace.tasks.states import TaskState

# The limits that run while a task may have subtasks. One under review, or whose delivery was
# rejected, has none that run.
LIMITS = ("deadline", "offered_until", "claim_expires_at", "notice_ends_at")


@lineage.when(Moment.DISPUTED)
def stop(task: Task, at: datetime, claim: Claim | None) -> None:
    """A panel judges a subtask: the limits of all that wait for it stand."""
    del claim
    for one in lineage.above(task):
        if not holds_up(task, one):
            return
        if one.stands_since is None:
            one.stands_since = at
            save_transition(one)
        task = one


def go_on(tasks: Iterable[Task], *, at: datetime) -> None:
    """Let the limits of tasks go on that no dispute holds up any more."""
    for one in tasks:
        if one.stands_since is not None and not _is_held_up(one):
            stood = at - one.stands_since
            one.stands_since = None
            for name in LIMITS:
                limit = getattr(one, name)
                if limit is not None:
                    setattr(one, name, limit + stood)
            save_transition(one)


def _is_held_up(task: Task) -> bool:
    """Say whether a dispute runs about something that a task waits for."""
    return any(
        one.state == TaskState.DISPUTED or _is_held_up(one)
        for one in lineage.subtasks_of(task)
        if not one.is_ended and holds_up(one, task)
    )
