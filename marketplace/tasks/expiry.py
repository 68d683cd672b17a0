"""What the passing of a limit does to a task that is open, offered or claimed."""

from collections.abc import Sequence
from datetime import datetime

from marketplace.events.log import record
from marketplace.tasks import ending, offers
from marketplace.tasks.deadlines import Limit, when_passed_by_many
from marketplace.tasks.models import ClaimEnding, Task
from marketplace.tasks.states import Role

CLOCK = frozenset({Role.CLOCK})


@when_passed_by_many(Limit.EXPIRE)
def expire(tasks: Sequence[Task], at: datetime) -> None:
    """The deadline passed: refund, whether or not somebody holds the task."""
    ending.load_claims(tasks)
    for task in tasks:
        _expire(task, at)


def _expire(task: Task, at: datetime) -> None:
    parties, held = task.parties, task.claim_id is not None
    claim_as = ClaimEnding.EXPIRED if held else None
    ending.end_unaccepted(task, "expire", roles=CLOCK, at=at, claim_as=claim_as)
    record("task.expired", subject=task.subject, actor=None, readers=parties, notified=parties)


@when_passed_by_many(Limit.LAPSE_OFFER)
def lapse_offer(tasks: Sequence[Task], at: datetime) -> None:
    """Nobody answered the offer: open again, or cancelled where the poster chose that."""
    for task in tasks:
        offers.end_unanswered(task, at=at)


@when_passed_by_many(Limit.EXPIRE_CLAIM)
def expire_claim(tasks: Sequence[Task], at: datetime) -> None:
    """The lease, or the time to deliver again, passed: the task is open again."""
    ending.load_claims(tasks)
    for task in tasks:
        _expire_claim(task, at)


def _expire_claim(task: Task, at: datetime) -> None:
    parties = task.parties
    # As abandoned, so the rules count it.
    ending.reopen(task, "expire_claim", roles=CLOCK, at=at, claim_as=ClaimEnding.ABANDONED)
    record(
        "task.claim_expired", subject=task.subject, actor=None, readers=parties, notified=parties
    )


@when_passed_by_many(Limit.END_NOTICE)
def end_notice(tasks: Sequence[Task], at: datetime) -> None:
    """The time that the poster gave the worker passed: cancelled, with a refund."""
    ending.load_claims(tasks)
    for task in tasks:
        _end_notice(task, at)


def _end_notice(task: Task, at: datetime) -> None:
    parties = task.parties
    ending.end_unaccepted(task, "end_notice", roles=CLOCK, at=at, claim_as=ClaimEnding.CANCELLED)
    record("task.cancelled", subject=task.subject, actor=None, readers=parties, notified=parties)
