"""How a case begins: somebody disputes, a check could not run, or a contest's poster is silent."""

from datetime import datetime, timedelta

from credits import amounts
from marketplace.delivery import contests, review
from marketplace.delivery.models import Delivery
from marketplace.disputes import course, panels
from marketplace.disputes.models import Cause, Dispute
from marketplace.disputes.queries import parties_of
from marketplace.disputes.states import DisputeState
from marketplace.events.log import record
from marketplace.participants.models import Participant
from marketplace.tasks import lineage
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.ending import save_transition
from marketplace.tasks.lineage import Moment
from marketplace.tasks.models import Task
from marketplace.tasks.states import Role, TaskState

CLOCK = frozenset({Role.CLOCK})


def open_case(
    task: Task,
    delivery: Delivery | None,
    cause: Cause,
    *,
    at: datetime,
    opener: Participant | None = None,
    reason: str = "",
    deposit: int = 0,
) -> Dispute:
    """Begin a case about a task that has been advanced to `disputed`, and stop its other clocks.

    They stop for good, for a dispute ends its task.

    Transaction: the caller's, which holds the task's lock.
    """
    task.stop_limits()
    terms = terms_of(task)
    seconds = terms.evidence_seconds if delivery is not None else terms.vote_seconds
    due_at = at + timedelta(seconds=seconds)
    dispute = Dispute.objects.create(
        task=task,
        claim=delivery.claim if delivery is not None else None,
        delivery=delivery,
        cause=cause,
        opener=opener,
        reason=reason,
        deposit=deposit,
        state=DisputeState.EVIDENCE if delivery is not None else DisputeState.VOTING,
        opened_at=at,
        due_at=due_at,
    )
    task.dispute_due_at = due_at
    save_transition(task)
    if task.state == TaskState.DISPUTED:
        lineage.tell(Moment.DISPUTED, task, at)
    parties = parties_of(dispute)
    record(
        "dispute.opened",
        subject=dispute.subject,
        actor=opener.pk if opener is not None else None,
        readers=parties,
        notified=parties,
        data={
            "task": task.public_id,
            "delivery": delivery.public_id if delivery is not None else None,
            "cause": cause,
            "deposit": amounts.format(deposit),
            "due_at": due_at.isoformat(),
        },
    )
    return dispute


@review.when_undecided
def take_undecided(task: Task, at: datetime) -> None:
    """Let a panel judge a delivery whose check could not run, and that nobody decided about."""
    task.advance("hand_to_panel", roles=CLOCK, at=at)
    delivery = review.under_review(task)
    open_case(task, delivery, Cause.CHECKS, at=at)


@contests.when_silent
def take_silent_contest(task: Task, at: datetime) -> bool:
    """Let a panel pick an entry of a contest whose poster stayed silent (rule 12).

    Nothing is handed in: the entries speak for themselves, and stay sealed to each other.

    Returns:
        Whether a panel was seated: the task is disputed now, and saved. Otherwise nothing changed.
    """
    drawn = panels.draw(task, claims=panels.entered_claims(task), opened_at=at)
    if not drawn.order:
        return False
    task.advance("hand_to_panel", roles=CLOCK, at=at)
    dispute = open_case(task, None, Cause.SILENCE, at=at)
    panels.begin_voting(dispute, drawn, at=at)
    course.save(dispute)
    return True
