"""Limits of time: which one a task meets next, and what happens when it passes.

Deadlines are columns. Whoever acts on a task checks them under its lock, so correctness never waits
for the sweeper; the sweeper only makes things happen when nobody looks. It takes many tasks at once
and makes of them what would become of each alone, by the same functions.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from functools import partial

import structlog

from credits.errors import MoneyReadOnly
from marketplace.foundation import clock
from marketplace.foundation.batching import together
from marketplace.foundation.ids import encode
from marketplace.foundation.transactions import Overdue, run_in_transaction
from marketplace.tasks import lineage
from marketplace.tasks.models import Task
from marketplace.tasks.states import TaskState

log = structlog.get_logger()


class Limit(Enum):
    """A limit of time, named by what its passing does."""

    EXPIRE = "the deadline of an open or claimed task"
    CLOSE_CONTEST = "the deadline of a contest that somebody entered"
    LAPSE_OFFER = "the time to answer an offer"
    EXPIRE_CLAIM = "a lease, or the time to deliver again"
    END_NOTICE = "the time that a worker has after the poster gave notice"
    REMIND = "half of the review window"
    LAPSE_REVIEW = "the review window"
    LAPSE_CHOICE = "the time that the poster of a contest has to choose"
    LAPSE_STAFF = "the time that staff have for a delivery whose check could not run"
    DISPUTE = "the step that a dispute is in"
    LAPSE_BLOCKED = "the deadline of a subtask that still waits for its siblings"


Handler = Callable[[Task, datetime], None]
HandlerOfMany = Callable[[Sequence[Task], datetime], None]

_handlers: dict[Limit, HandlerOfMany] = {}
_alone: set[Limit] = set()


def when_passed(limit: Limit) -> Callable[[Handler], Handler]:
    """Register what happens to a locked task when *limit* passes; it saves the task itself.

    For what happens seldom, or reads much: the sweeper gives each such task its own transaction.
    """

    def register(handler: Handler) -> Handler:
        def one(tasks: Sequence[Task], at: datetime) -> None:
            (task,) = tasks
            handler(task, at)

        when_passed_by_many(limit)(one)
        _alone.add(limit)
        return handler

    return register


def when_passed_by_many(limit: Limit) -> Callable[[HandlerOfMany], HandlerOfMany]:
    """Register the same for tasks that the sweeper locked together.

    It reads once what all of them need, and what it writes is written `together`.
    """

    def register(handler: HandlerOfMany) -> HandlerOfMany:
        assert limit not in _handlers, f"{limit} has a handler"
        _handlers[limit] = handler
        return handler

    return register


def limits_of(task: Task) -> Iterator[tuple[datetime, Limit]]:
    """Return every limit that runs for a task now (market_rules.md, "Time")."""
    if task.stands_since is not None:
        return  # a dispute runs below it
    if task.state == TaskState.BLOCKED:
        yield task.deadline, Limit.LAPSE_BLOCKED
    elif task.state == TaskState.OPEN:
        yield task.deadline, Limit.CLOSE_CONTEST if task.entries else Limit.EXPIRE
    elif task.state == TaskState.OFFERED:
        assert task.offered_until is not None, "the constraint offered_tasks_say_to_whom"
        yield task.offered_until, Limit.LAPSE_OFFER
    elif task.state == TaskState.CLAIMED:
        yield _limit_of_claim(task)
    elif task.dispute_due_at is not None:  # also where what an accepted subtask earned is disputed
        yield task.dispute_due_at, Limit.DISPUTE
    elif task.state == TaskState.SUBMITTED:
        reviewing = (
            (task.remind_at, Limit.REMIND),
            (task.review_due_at, Limit.LAPSE_CHOICE if task.is_contest else Limit.LAPSE_REVIEW),
            (task.with_staff_until, Limit.LAPSE_STAFF),
        )
        for at, limit in reviewing:
            if at is not None:
                yield at, limit


def _limit_of_claim(task: Task) -> tuple[datetime, Limit]:
    if task.resubmit_by is not None:  # in place of lease, deadline and notice
        if task.notice_ends_at is not None:
            return task.resubmit_by, Limit.END_NOTICE
        late = task.deadline <= task.resubmit_by
        return task.resubmit_by, Limit.EXPIRE if late else Limit.EXPIRE_CLAIM
    if task.notice_ends_at is not None:
        return task.notice_ends_at, Limit.END_NOTICE
    lease = task.claim_expires_at
    assert lease is not None, "a claim without another limit has a lease"
    return (task.deadline, Limit.EXPIRE) if task.deadline <= lease else (lease, Limit.EXPIRE_CLAIM)


def schedule(task: Task) -> None:
    """Set `due_at` to the task's next limit; every transition ends with this."""
    task.due_at = min((at for at, _ in limits_of(task)), default=None)


def passed(task: Task, at: datetime) -> Limit | None:
    """Return the limit that has passed by *at*, the earliest of several."""
    due = [(limit_at, limit) for limit_at, limit in limits_of(task) if limit_at <= at]
    return min(due, key=lambda pair: pair[0])[1] if due else None


def require_current(task: Task, at: datetime) -> None:
    """Refuse to act on a task whose time has passed, until the clock has had its way.

    The same holds for what is above it and below it in a tree: whoever leads no more decides
    nothing, and a subtask whose review has lapsed is accepted. What was due first comes first.

    Raises:
        Overdue: `run_in_transaction` commits the due transition and runs the use case again.

    Round trips: none for a task that stands alone, else one.
    """
    late = [one for one in (task, *lineage.above(task), *lineage.below(task)) if passed(one, at)]
    if late:
        first = min(late, key=lambda one: min(due for due, _ in limits_of(one)))
        raise Overdue(lambda: apply_passed(first.pk))


def apply_passed(task_id: uuid.UUID) -> bool:
    """Do what is due on a task and say whether anything was.

    Transaction: the caller's. Locks: the task, then what the transition needs.
    """
    task, now = Task.objects.lock(task_id)
    limit = passed(task, now)
    if limit is None:
        return False
    _handlers[limit]([task], now)
    return True


BATCH = 200


def sweep(*, limit: int = BATCH) -> int:
    """Do what is due on up to *limit* tasks and return on how many; 0 when nothing is due any more.

    Any number of sweepers may run: one does not see what another has locked, and a task whose
    transaction fails, or whose sweeper dies, is due as before.
    """
    try:
        done, alone = run_in_transaction(partial(_sweep_together, limit))
    except MoneyReadOnly:
        return 0  # what is due stays due: the clock stands until money moves again
    except Exception as error:  # one that fails must not keep the others waiting
        log.exception("sweep.failed_together", error=str(error))
        due = Task.objects.filter(due_at__lte=clock.now()).order_by("due_at")
        done, alone = 0, list(due.values_list("pk", flat=True)[:limit])
    return done + _sweep_singly(alone)


def _sweep_together(limit: int) -> tuple[int, list[uuid.UUID]]:
    """Do what is due on many tasks; return on how many, and those that wait for their own turn.

    Those are the tasks of trees, too, whose roots are locked before them.
    """
    tasks, now = Task.objects.lock_due(limit)
    by_limit: dict[Limit, list[Task]] = {}
    for task in tasks:
        due = passed(task, now)
        assert due is not None, "due_at is the earliest limit"
        by_limit.setdefault(due, []).append(task)
    singly = [task.pk for due in _alone for task in by_limit.pop(due, ())]
    with together():
        for due, together_due in by_limit.items():
            _handlers[due](together_due, now)
    return len(tasks) - len(singly), [*singly, *Task.objects.due_in_trees(limit)]


def _sweep_singly(due: Sequence[uuid.UUID]) -> int:
    done = 0
    for task_id in due:
        try:
            done += run_in_transaction(partial(apply_passed, task_id))
        except MoneyReadOnly:
            break  # as above
        except Exception as error:  # a task that fails must not keep the others waiting
            log.exception("sweep.failed", task=encode("task", task_id), error=str(error))
    return done
