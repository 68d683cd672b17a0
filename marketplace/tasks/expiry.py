"""What the passing of a limit does to an open or claimed task."""

from datetime import datetime

from marketplace.events.log import record
from marketplace.tasks import ending
from marketplace.tasks.deadlines import Limit, when_passed
from marketplace.tasks.models import ClaimEnding, Task
from marketplace.tasks.states import Role

CLOCK = frozenset({Role.CLOCK})


@when_passed(Limit.EXPIRE)
def expire(task: Task, at: datetime) -> None:
    """The deadline passed: refund, whether or not somebody holds the task."""
    parties, held = task.parties, task.claim_id is not None
    task.advance("expire", roles=CLOCK, at=at)
    ending.end_unaccepted(task, at=at, ending=ClaimEnding.EXPIRED if held else None)
    ending.save_transition(task)
    record("task.expired", subject=task.subject, actor=None, readers=parties, notified=parties)


@when_passed(Limit.EXPIRE_CLAIM)
def expire_claim(task: Task, at: datetime) -> None:
    """The lease, or the time to deliver again, passed: the task is open again."""
    parties = task.parties
    task.advance("expire_claim", roles=CLOCK, at=at)
    ending.release_claim(task, ClaimEnding.ABANDONED, at=at)  # so the rules count it
    ending.save_transition(task)
    record(
        "task.claim_expired", subject=task.subject, actor=None, readers=parties, notified=parties
    )


@when_passed(Limit.END_NOTICE)
def end_notice(task: Task, at: datetime) -> None:
    """The time that the poster gave the worker passed: cancelled, with a refund."""
    parties = task.parties
    task.advance("end_notice", roles=CLOCK, at=at)
    ending.end_unaccepted(task, at=at, ending=ClaimEnding.CANCELLED)
    ending.save_transition(task)
    record("task.cancelled", subject=task.subject, actor=None, readers=parties, notified=parties)
