"""What somebody may do with a task now: the state table, and the rules beside it.

One function says why a verb is refused; use cases raise its answer and `permitted_actions` offers
every verb that it does not refuse. So what is offered works, and what works is offered.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from marketplace.participants.models import Participant
from marketplace.tasks.models import Acceptance, Task
from marketplace.tasks.states import (
    IllegalTransition,
    NotPermitted,
    Role,
    TaskState,
    next_state,
    verbs_of,
)

# Verbs that the API offers under one name; those absent have their own endpoint elsewhere.
ACTIONS = {
    "claim": "claim",
    "edit": "edit",
    "cancel": "cancel",
    "give_notice": "cancel",
    "cancel_at_once": "cancel_at_once",
    "heartbeat": "heartbeat",
    "submit": "submit",
    "abandon": "abandon",
    "withdraw": "abandon",
}
MOST_REJECTIONS = 2  # a third delivery the poster can only accept or dispute (rule 10)


class OwnTask(NotPermitted):
    """Somebody would work for their own operator (rule 7)."""


class ClaimCapReached(Exception):
    """The participant, or its operator, holds as many tasks as it may (rule 8).

    Attributes:
        cap: How many that is.
        whose: `participant` or `operator`.
    """

    def __init__(self, *, cap: int, whose: str) -> None:
        super().__init__(f"this {whose} holds {cap} claimed tasks, the most it may")
        self.cap = cap
        self.whose = whose


class NotNow(IllegalTransition):
    """The state would permit it, but a rule beside the state does not.

    Attributes:
        rule: Which rule: `lease_not_renewable`, `notice_given`, `resubmission_pending` or
            `checks_running`,
            `not_with_staff` or `rejections_exhausted`.
    """

    def __init__(self, *, verb: str, state: str, rule: str, hint: str) -> None:
        super().__init__(verb=verb, state=state, hint=hint)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Holdings:
    """How many tasks somebody holds: alone, and together with all of their operator's agents."""

    participant: int
    operator: int

    def refusal(self) -> ClaimCapReached | None:
        """Return why one more may not be claimed, if so."""
        if self.participant >= settings.CLAIMS_PER_AGENT:
            return ClaimCapReached(cap=settings.CLAIMS_PER_AGENT, whose="participant")
        if self.operator >= settings.CLAIMS_PER_OPERATOR:
            return ClaimCapReached(cap=settings.CLAIMS_PER_OPERATOR, whose="operator")
        return None


HELD = """
SELECT count(*) FILTER (WHERE worker_id = %s), count(*), market_now()
FROM tasks_task WHERE worker_operator_id = %s AND state = 'claimed'
"""


def holdings_now(participant: Participant) -> tuple[Holdings, datetime]:
    """Count the claimed tasks of a participant and of its operator, with the market's time.

    Round trips: one.
    """
    with connection.cursor() as cursor:
        cursor.execute(HELD, [participant.pk, participant.operator_key])
        own, of_operator, at = cursor.fetchone()
    return Holdings(participant=own, operator=of_operator), at


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks what may be done, and when; read once for a whole list."""

    participant: Participant | None
    holdings: Holdings
    at: datetime

    @property
    def id(self) -> uuid.UUID | None:
        """Return the viewer's id; None is a visitor without a name."""
        return self.participant.pk if self.participant else None


def refusal_beside_state(task: Task, verb: str, at: datetime) -> NotNow | None:
    """Return which rule forbids a verb that the state table allows, if one does."""
    rule = hint = ""
    resubmitting = task.resubmit_by is not None and task.resubmit_by > at
    if verb == "heartbeat" and (task.resubmit_by is not None or task.notice_ends_at is not None):
        rule = "lease_not_renewable"
        hint = "Deliver in time: after a rejection or a notice the lease does not move."
    elif verb in ("give_notice", "cancel_at_once") and resubmitting:
        rule = "resubmission_pending"
        hint = "Wait until resubmit_by: a rejected worker may deliver again until then."
    elif verb == "give_notice" and task.notice_ends_at is not None:
        rule = "notice_given"
        hint = "Notice runs already; cancel with at_once to end it now with compensation."
    elif verb == "reject" and _rejections(task) >= MOST_REJECTIONS:
        rule = "rejections_exhausted"
        hint = "After two rejections a delivery can only be accepted or disputed."
    elif verb == "reject" and _checks_decide(task):
        rule = "checks_running"
        hint = "The checks of this task decide; wait until they have ended."
    elif verb in ("accept_by_staff", "reject_by_staff") and task.with_staff_until is None:
        rule = "not_with_staff"
        hint = "Staff decide only where a check could not run and the review window has passed."
    elif verb == "submit" and _rejections(task) > MOST_REJECTIONS:
        rule = "rejections_exhausted"
        hint = "Three deliveries were rejected; the task is open again when resubmit_by passes."
    if not rule:
        return None
    return NotNow(verb=verb, state=task.state, rule=rule, hint=hint)


def require(task: Task, verb: str, roles: frozenset[Role], at: datetime) -> None:
    """Raise what forbids *verb*, if anything does.

    Raises:
        OwnTask: The verb is for others than the poster's own operator.
        NotPermitted: Somebody else's move.
        IllegalTransition: Not in this state, or not now (`NotNow`).
    """
    if verb == "claim" and Role.ANYONE not in roles:
        raise OwnTask(verb=verb, reason="nobody takes work of their own operator")
    next_state(TaskState(task.state), verb, roles)
    refusal = refusal_beside_state(task, verb, at)
    if refusal is not None:
        raise refusal


def permitted_verbs(task: Task, viewer: Viewer) -> frozenset[str]:
    """Return the verbs that *viewer* has on a task now."""
    roles = task.roles_of(viewer.participant)
    # A limit that has passed will be applied before anything else can be done. A reminder that is
    # due changes nothing.
    limits = (task.review_due_at, task.with_staff_until)
    due = [task.due_at] if task.state != TaskState.SUBMITTED else limits
    if any(at is not None and at <= viewer.at for at in due):
        return frozenset()
    return frozenset(
        verb
        for verb in verbs_of(TaskState(task.state), roles)
        if refusal_beside_state(task, verb, viewer.at) is None
        and not (verb == "claim" and viewer.holdings.refusal())
        and not (verb == "withdraw" and task.notice_ends_at is None)
        and not (verb == "abandon" and task.notice_ends_at is not None)
    )


def permitted_actions(task: Task, viewer: Viewer) -> list[str]:
    """Return the names of the API's actions that *viewer* may take on a task now."""
    return sorted({ACTIONS[verb] for verb in permitted_verbs(task, viewer) if verb in ACTIONS})


def _checks_decide(task: Task) -> bool:
    """Say whether the checks, and not the poster, are about to decide about a delivery.

    A review of an automatic task begins only where a check could not run.
    """
    reviewing = task.review_due_at is not None or task.with_staff_until is not None
    return task.acceptance == Acceptance.AUTOMATIC and not reviewing


def _rejections(task: Task) -> int:
    return task.claim.rejections if task.claim is not None else 0
