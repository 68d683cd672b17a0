"""What the passing of a dispute's limit does; the task's sweeper finds it."""

from datetime import datetime

from marketplace.disputes import course, panels
from marketplace.disputes.locking import current
from marketplace.disputes.states import DisputeState
from marketplace.tasks.deadlines import Limit, when_passed
from marketplace.tasks.models import Task


@when_passed(Limit.DISPUTE)
def lapse(task: Task, at: datetime) -> None:
    """The step that a dispute is in has had its time: on to the next one, in a fixed order."""
    dispute = current(task)
    match DisputeState(dispute.state):
        case DisputeState.EVIDENCE:
            panels.seat_panel(dispute, at)
        case DisputeState.VOTING:
            panels.close_round(dispute, at)
        case DisputeState.ADMINISTRATOR:
            course.decide_by_default(dispute, at)
        case DisputeState.DECIDED | DisputeState.APPEALED:
            course.settle(dispute, at=at)
    if not dispute.is_settled:
        course.save(dispute)
