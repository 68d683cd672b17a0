"""Who acts as the poster of subtasks when the lead changes (rule 15).

What a parent's escrow pays is its poster's business while nobody leads, and then the next lead's.
What a lead's own wallet pays stays that lead's, and holds the parent up no longer.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from marketplace.delegation import clocks
from marketplace.events.log import record
from marketplace.foundation.batching import write
from marketplace.participants.models import Participant
from marketplace.tasks import lineage
from marketplace.tasks.ending import save_transition
from marketplace.tasks.lineage import Moment
from marketplace.tasks.models import Claim, Task
from marketplace.tasks.states import TaskState


def running(parent: Task) -> Iterator[Task]:
    """Return the direct subtasks that have not ended."""
    return (one for one in lineage.subtasks_of(parent) if not one.is_ended)


@lineage.when(Moment.LEFT)
def hand_to_poster(task: Task, at: datetime, claim: Claim | None) -> None:
    """The lead is gone: the parent's poster acts for what the escrow pays."""
    assert claim is not None, "a lead has left"
    task.unsettled_children -= sum(
        not one.is_paid_from_escrow and one.lead_claim_id == claim.pk for one in running(task)
    )
    hand_over(task, task.poster)
    clocks.go_on([task, *lineage.above(task)], at=at)


@lineage.when(Moment.TAKEN)
def hand_to_lead(task: Task, at: datetime, claim: Claim | None) -> None:
    """Somebody else leads: they act for what the escrow pays, and cannot work below (rule 7).

    Nor do they judge below, also where a subtask has ended and its earnings may be disputed: what
    a dispute takes back comes into the escrow that they are paid from.
    """
    del at, claim
    lead = task.worker
    assert lead is not None, "whoever took it holds it"
    for one in lineage.below(task):
        is_settled = one.is_ended and one.wages_wait_until is None
        if not is_settled and lead.operator_key not in one.barred:
            one.barred = [*one.barred, lead.operator_key]
            write(_save_barred, one)
    hand_over(task, lead)


def hand_over(parent: Task, to: Participant) -> None:
    """Let somebody act as the poster of the running subtasks that the parent's escrow pays.

    Where nobody leads one of those, that somebody acts for its own subtasks as well.
    """
    for one in running(parent):
        if not one.is_paid_from_escrow or one.poster_id == to.pk:
            continue
        before = one.parties
        one.poster, one.poster_operator_id = to, to.operator_key
        save_transition(one)
        record(
            "task.handed_over",
            subject=one.subject,
            actor=None,
            readers=[*before, *one.parties],
            notified=[to.pk, one.worker_id],
            data={"task": one.public_id, "poster": to.handle},
        )
        if one.worker_id is None or one.state == TaskState.CLOSING:
            hand_over(one, to)


def _save_barred(tasks: Sequence[Task]) -> None:
    Task.objects.bulk_update(tasks, ["barred"])
