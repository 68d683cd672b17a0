"""What somebody may do with a task now: the state table, and the rules beside it.

One function says why a verb is refused; use cases raise its answer and `permitted_actions` offers
every verb that it does not refuse. So what is offered works, and what works is offered.
"""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings

from marketplace.moderation import hiding
from marketplace.participants.dealings import Barriers, require_dealing
from marketplace.participants.models import Participant
from marketplace.tasks import eligibility, lineage
from marketplace.tasks.caps import Holdings
from marketplace.tasks.models import LIVE_BIDS, Acceptance, Bid, Claim, Mode, OnDecline, Task
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
    "bid": "bid",
    "enter": "submit",
    "edit": "edit",
    "raise": "raise",
    "decline": "decline",
    "refuse": "decline",
    "cancel": "cancel",
    "give_notice": "cancel",
    "cancel_at_once": "cancel_at_once",
    "heartbeat": "heartbeat",
    "submit": "submit",
    "abandon": "abandon",
    "withdraw": "abandon",
    "dispute": "dispute",
    "delegate": "add_subtasks",
    "dispute_earnings": "dispute",
}
MOST_REJECTIONS = 2  # a third delivery the poster can only accept or dispute (rule 10)
# Verbs by which somebody takes work of a poster's, or proposes to.
TAKING = frozenset({"claim", "bid", "enter"})


class OwnTask(NotPermitted):
    """Somebody would work for their own operator (rule 7)."""


class NotNow(IllegalTransition):
    """The state would permit it, but a rule beside the state does not.

    Attributes:
        rule: Which rule; `RULES` names them.
    """

    def __init__(self, *, verb: str, state: str, rule: str, hint: str) -> None:
        super().__init__(verb=verb, state=state, hint=hint)
        self.rule = rule


@dataclass(frozen=True)
class Viewer:
    """Who asks what may be done, and when; read once for a whole list.

    What only some tasks ask for is read when the first of them does.
    """

    participant: Participant | None
    holdings: Holdings
    barriers: Barriers
    at: datetime

    @property
    def id(self) -> uuid.UUID | None:
        """Return the viewer's id; None is a visitor without a name."""
        return self.participant.pk if self.participant else None

    @cached_property
    def standing(self) -> int:
        """Return the standing as a worker of the viewer's operator. Round trips: one at most."""
        if self.participant is None:
            return 0
        return eligibility.standing_of_worker(self.participant, self.at)

    @cached_property
    def bid_on(self) -> Collection[uuid.UUID]:
        """Return the tasks on which the viewer's operator has a live bid. Round trips: one."""
        if self.participant is None:
            return frozenset()
        live = Bid.objects.filter(operator=self.participant.operator_key, state__in=LIVE_BIDS)
        return frozenset(live.values_list("task", flat=True))

    @cached_property
    def entered(self) -> Collection[uuid.UUID]:
        """Return the running contests that the viewer's operator entered. Round trips: one."""
        if self.participant is None:
            return frozenset()
        entries = Claim.objects.filter(
            operator=self.participant.operator_key, is_entry=True, ended_at=None
        )
        return frozenset(entries.values_list("task", flat=True))

    @cached_property
    def above_own_work(self) -> Collection[uuid.UUID]:
        """Return the tasks on a part of which the viewer's operator works. Round trips: two."""
        if self.participant is None:
            return frozenset()
        return lineage.above_work_of(self.participant.operator_key)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule beside the state table: what it forbids, when, and what to do instead."""

    name: str
    verbs: frozenset[str]
    forbids: Callable[[Task, datetime], bool]
    hint: str


def _is_open_in(mode: Mode) -> Callable[[Task, datetime], bool]:
    return lambda task, _: task.mode == mode and task.state == TaskState.OPEN


def _is_resubmitting(task: Task, at: datetime) -> bool:
    return task.resubmit_by is not None and task.resubmit_by > at


def _lease_stands(task: Task, at: datetime) -> bool:
    del at
    return task.resubmit_by is not None or task.notice_ends_at is not None


def _checks_decide(task: Task, at: datetime) -> bool:
    """Say whether the checks, and not the poster, are about to decide about a delivery.

    A review of an automatic task begins only where a check could not run.
    """
    del at
    return task.acceptance == Acceptance.AUTOMATIC and not _is_reviewed(task)


def _is_reviewed(task: Task) -> bool:
    """Say whether the review of a delivery has begun, with its poster or with staff."""
    return task.review_due_at is not None or task.with_staff_until is not None


def _gives_away(task: Task, at: datetime) -> bool:
    """Say whether compensation would be paid out of an escrow that is not the canceller's own."""
    del at
    return task.is_paid_from_escrow


def _wait_is_over(task: Task, at: datetime) -> bool:
    return task.wages_wait_until is None or task.wages_wait_until <= at


def _rejections(task: Task) -> int:
    return task.claim.rejections if task.claim is not None else 0


# In this order: the first that forbids a verb says why.
RULES = (
    Rule(
        "wrong_mode",
        frozenset({"claim"}),
        _is_open_in(Mode.BID),
        "This task takes bids: POST /api/v1/tasks/{id}/bids.",
    ),
    Rule(
        "wrong_mode",
        frozenset({"claim"}),
        _is_open_in(Mode.CONTEST),
        "This task is a contest: deliver with POST /api/v1/tasks/{id}/deliveries.",
    ),
    Rule(
        "wrong_mode",
        frozenset({"bid", "select"}),
        lambda task, _: task.mode != Mode.BID,
        "This task takes no bids: its mode says how to get it.",
    ),
    Rule(
        "wrong_mode",
        frozenset({"enter"}),
        lambda task, _: not task.is_contest,
        "Claim the task before you deliver.",
    ),
    Rule(
        "wrong_mode",
        frozenset({"reject"}),
        lambda task, _: task.is_contest,
        "Entries are not rejected: accept one of them.",
    ),
    Rule(
        "wrong_mode",
        frozenset({"dispute"}),
        lambda task, _: task.is_contest,
        "Accept an entry; where a poster stays silent, a panel picks one.",
    ),
    Rule(
        "contest_full",
        frozenset({"enter"}),
        lambda task, _: task.entries >= settings.ENTRIES_PER_CONTEST,
        "Look for another task: this contest takes no more entries.",
    ),
    Rule(
        "contest_entered",
        frozenset({"edit", "cancel"}),
        lambda task, _: task.entries > 0,
        "Somebody has entered: raise the bounty or the deadline, or wait for the deadline.",
    ),
    Rule(
        "lease_not_renewable",
        frozenset({"heartbeat"}),
        _lease_stands,
        "Deliver in time: after a rejection or a notice the lease does not move.",
    ),
    Rule(
        "resubmission_pending",
        frozenset({"give_notice", "cancel_at_once"}),
        _is_resubmitting,
        "Wait until resubmit_by: a rejected worker may deliver again until then.",
    ),
    Rule(
        "notice_given",
        frozenset({"give_notice"}),
        lambda task, _: task.notice_ends_at is not None,
        "Notice runs already; cancel with at_once to end it now with compensation.",
    ),
    Rule(
        "notice_given",
        frozenset({"delegate"}),
        lambda task, _: task.notice_ends_at is not None,
        "The task is being cancelled: deliver what you have until notice_ends_at.",
    ),
    Rule(
        "resubmission_pending",
        frozenset({"delegate"}),
        lambda task, _: task.resubmit_by is not None,
        "Deliver again, or dispute the rejection: its time would run out while subtasks run.",
    ),
    Rule(
        "too_deep",
        frozenset({"delegate"}),
        lambda task, _: task.depth >= settings.MOST_SUBTASK_LEVELS,
        "Do this part yourself, or leave it to others: it is as deep as a tree may be.",
    ),
    Rule(
        "paid_from_escrow",
        frozenset({"cancel_at_once"}),
        _gives_away,
        "Give notice instead: cancel without at_once.",
    ),
    Rule(
        "subtasks_unsettled",
        frozenset({"submit"}),
        lambda task, _: task.unsettled_children > 0,
        "Wait until every subtask has ended, or cancel those that nobody holds.",
    ),
    Rule(
        "nothing_waits",
        frozenset({"dispute_earnings"}),
        _wait_is_over,
        "What the subtask earned has been paid, or is being paid: the time to dispute has passed.",
    ),
    Rule(
        "nobody_chosen",
        frozenset({"dispute_earnings"}),
        lambda task, _: task.claim_id is None,
        "Every entry that passed has an equal share of it; nobody's work was chosen.",
    ),
    Rule(
        "disputed_already",
        frozenset({"dispute_earnings"}),
        lambda task, _: task.dispute_due_at is not None,
        "A dispute over it runs.",
    ),
    Rule(
        "rejections_exhausted",
        frozenset({"reject"}),
        lambda task, _: _rejections(task) >= MOST_REJECTIONS,
        "After two rejections a delivery can only be accepted or disputed.",
    ),
    Rule(
        "checks_running",
        frozenset({"reject"}),
        _checks_decide,
        "The checks of this task decide; wait until they have ended.",
    ),
    Rule(
        "not_with_staff",
        frozenset({"accept_by_staff", "reject_by_staff"}),
        lambda task, _: task.with_staff_until is None,
        "Staff decide only where a check could not run and the review window has passed.",
    ),
    Rule(
        "nothing_rejected",
        frozenset({"dispute"}),
        lambda task, _: task.state == TaskState.CLAIMED and task.resubmit_by is None,
        "A worker disputes a rejection, until resubmit_by.",
    ),
    Rule(
        "checks_running",
        frozenset({"dispute"}),
        lambda task, _: task.state == TaskState.SUBMITTED and not _is_reviewed(task),
        "A poster disputes when the required checks have ended and the review has begun.",
    ),
    Rule(
        "rejections_exhausted",
        frozenset({"submit"}),
        lambda task, _: _rejections(task) > MOST_REJECTIONS,
        "Three deliveries were rejected; the task is open again when resubmit_by passes.",
    ),
)


def refusal_beside_state(task: Task, verb: str, at: datetime) -> NotNow | None:
    """Return which rule forbids a verb that the state table allows, if one does."""
    for rule in RULES:
        if verb in rule.verbs and rule.forbids(task, at):
            return NotNow(verb=verb, state=task.state, rule=rule.name, hint=rule.hint)
    return None


def require(task: Task, verb: str, roles: frozenset[Role], at: datetime) -> None:
    """Raise what forbids *verb*, if anything does.

    Raises:
        OwnTask: The verb is for others than the poster's own operator.
        NotPermitted: Somebody else's move.
        IllegalTransition: Not in this state, or not now (`NotNow`).
        Task.DoesNotExist: Staff hide it, and the asker is none of its sides.
    """
    if verb in TAKING and Role.ANYONE not in roles:
        raise OwnTask(verb=verb, reason="nobody takes work of their own operator")
    try:
        next_state(TaskState(task.state), verb, roles)
        refusal = refusal_beside_state(task, verb, at)
        if refusal is not None:
            raise refusal
    except (NotPermitted, IllegalTransition):
        # A refusal would tell a stranger that the task is there. Asked only here: it costs a query.
        if roles == {Role.ANYONE} and hiding.hidings_of("task", [task.pk]):
            raise Task.DoesNotExist from None
        raise


def require_taking(task: Task, actor: Participant, verb: str, at: datetime) -> None:
    """Raise what forbids *actor* to take the task, to bid for it or to enter it.

    Raises:
        OwnTask, NotPermitted, IllegalTransition: See `require`.
        Frozen, PosterFrozen, Blocked: See `dealings.require_dealing`.
        Task.DoesNotExist: Staff hide it.
        NotEligible: The poster asks for something that the actor lacks.

    The caller holds the lock of the actor's operator. Round trips: two, or three.
    """
    roles = task.roles_of(actor)
    require(task, verb, roles, at)
    require_dealing(actor, task.poster_id, task.poster_operator_id)
    _require_not_below(task, actor, verb)
    if task.state != TaskState.OFFERED:  # whom the poster chose, it chose
        if hiding.hidings_of("task", [task.pk]):
            raise Task.DoesNotExist
        lacks = eligibility.refusal(
            task.eligibility, actor, lambda: eligibility.standing_of_worker(actor, at)
        )
        if lacks is not None:
            raise lacks


def _require_not_below(task: Task, actor: Participant, verb: str) -> None:
    """Refuse a lead whose operator works on a part of the task already (rule 7).

    Round trips: none for a task without subtasks, else two.
    """
    if task.children and task.pk in lineage.above_work_of(actor.operator_key):
        raise OwnTask(verb=verb, reason="you work on a part of this task")


def is_overdue(task: Task, at: datetime) -> bool:
    """Say whether a limit has passed, which will be applied before anything else can be done.

    A reminder that is due changes nothing.
    """
    reviewing = (task.review_due_at, task.with_staff_until)
    due = [task.due_at] if task.state != TaskState.SUBMITTED else reviewing
    return any(limit is not None and limit <= at for limit in due)


def permitted_verbs(task: Task, viewer: Viewer) -> frozenset[str]:
    """Return the verbs that *viewer* has on a task now."""
    if is_overdue(task, viewer.at):
        return frozenset()
    roles = task.roles_of(viewer.participant)
    return frozenset(
        verb
        for verb in verbs_of(TaskState(task.state), roles)
        if refusal_beside_state(task, verb, viewer.at) is None
        and (verb not in TAKING or _may_take(task, verb, viewer))
        and not _is_other_form(task, verb)
        and not (verb in ("edit", "select") and viewer.barriers.is_frozen)
    )


def _may_take(task: Task, verb: str, viewer: Viewer) -> bool:
    if viewer.participant is None:
        return False
    if not viewer.barriers.allow(task.poster_id, task.poster_operator_id):
        return False
    taken = {"bid": lambda: viewer.bid_on, "enter": lambda: viewer.entered}
    if verb == "claim" and viewer.holdings.refusal:
        return False
    if (verb in taken and task.pk in taken[verb]()) or (
        task.children and task.pk in viewer.above_own_work
    ):
        return False
    if task.state == TaskState.OFFERED:
        return True
    lacks = eligibility.refusal(task.eligibility, viewer.participant, lambda: viewer.standing)
    return lacks is None


def _is_other_form(task: Task, verb: str) -> bool:
    """Say whether a verb has another name here: one leads on, the other ends the task."""
    noticed = task.notice_ends_at is not None
    for_good = task.on_decline == OnDecline.CANCEL
    wrong = {
        "withdraw": not noticed,
        "abandon": noticed,
        "refuse": not for_good,
        "decline": for_good,
    }
    return wrong.get(verb, False)


def permitted_actions(task: Task, viewer: Viewer) -> list[str]:
    """Return the names of the API's actions that *viewer* may take on a task now."""
    return sorted({ACTIONS[verb] for verb in permitted_verbs(task, viewer) if verb in ACTIONS})
