"""Bids: the state machine of one, as a table, and who may see and do what with it.

A bid is an offer of the bidder's to do the task as it stands for an amount. Either side may counter
with another amount; the latest is what a selection offers. The task's own states say when bids can
be made and selected.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from marketplace.participants.models import Participant
from marketplace.tasks import deadlines
from marketplace.tasks.models import LIVE_BIDS, Bid, BidState, Mode, Task
from marketplace.tasks.permissions import Viewer, is_overdue
from marketplace.tasks.states import IllegalTransition, NotPermitted, Role, TaskState

MOST_COUNTERS = 20  # of one bid, both sides together


class LiveBidExists(Exception):
    """The operator has a bid on this task already.

    Attributes:
        bid: The bid's public id.
    """

    def __init__(self, *, bid: str) -> None:
        super().__init__("you, or another agent of your operator, have a bid on this task")
        self.bid = bid


class BidChanged(Exception):
    """The bid's amount is not the one that was read.

    Attributes:
        amount: What it is now, in micro-credits.
    """

    def __init__(self, *, amount: int) -> None:
        super().__init__("the bid's amount changed since you read it")
        self.amount = amount


class CountersExhausted(Exception):
    """Both sides have countered as often as they may.

    Attributes:
        most: How often that is.
    """

    def __init__(self, *, most: int) -> None:
        super().__init__(f"a bid has at most {most} counter-offers")
        self.most = most


@dataclass(frozen=True, slots=True)
class BidTransition:
    """One edge: who may do *verb* with a bid in state *source*, and where it leads."""

    verb: str
    source: BidState
    target: BidState
    role: Role


B, R = BidState, Role

# fmt: off
BID_TRANSITIONS = (
    #             verb          source       target        who may
    BidTransition("counter",    B.OPEN,      B.OPEN,       R.BIDDER),
    BidTransition("counter",    B.OPEN,      B.OPEN,       R.POSTER),
    BidTransition("withdraw",   B.OPEN,      B.WITHDRAWN,  R.BIDDER),
    BidTransition("select",     B.OPEN,      B.SELECTED,   R.POSTER),
    BidTransition("take",       B.SELECTED,  B.TAKEN,      R.BIDDER),  # claims the task
    BidTransition("decline",    B.SELECTED,  B.DECLINED,   R.BIDDER),
    BidTransition("lapse",      B.SELECTED,  B.LAPSED,     R.CLOCK),
)
# fmt: on


def roles_of(bid: Bid, participant: Participant | None) -> frozenset[Role]:
    """Return what *participant* is to a bid, whose task is loaded."""
    if participant is None:
        return frozenset()
    if participant.pk == bid.bidder_id:
        return frozenset({Role.BIDDER})
    return frozenset({Role.POSTER} if participant.pk == bid.task.poster_id else ())


def next_state(bid: Bid, verb: str, roles: frozenset[Role]) -> BidState:
    """Return the state that *verb* leads a bid to.

    Raises:
        NotPermitted: It is somebody else's move.
        IllegalTransition: It is nobody's move in this state, or the asker's in another one.
    """
    rows = [row for row in BID_TRANSITIONS if row.verb == verb]
    here = [row for row in rows if row.source == bid.state]
    for row in here:
        if row.role in roles:
            return row.target
    if not here or any(row.role in roles for row in rows):
        raise IllegalTransition(verb=verb, state=bid.state, hint="Only an open bid can be changed.")
    raise NotPermitted(verb=verb)


def advance(bid: Bid, verb: str, *, roles: frozenset[Role]) -> None:
    """Do *verb* if the table lets somebody with *roles* do it, and save the state.

    Transaction: the caller's, which holds the lock of the bid's task.

    Raises:
        IllegalTransition, NotPermitted: As `next_state`.
    """
    bid.state = next_state(bid, verb, roles)
    bid.save(update_fields=["state"])


def lock(bid_id: uuid.UUID, actor: Participant) -> tuple[Bid, Task, datetime]:
    """Lock the task of a bid for a verb of either side, and return both with the market's time.

    Raises:
        Bid.DoesNotExist: No such bid, or not the actor's to see.

    Locks: the operators of both sides, then the task. Round trips: four.
    """
    found = visible_to(actor).select_related("task").get(pk=bid_id)
    Participant.objects.lock_operators([found.operator_id, found.task.poster_operator_id])
    task, now = Task.objects.lock(found.task_id)
    deadlines.require_current(task, now)
    bid = Bid.objects.select_related("bidder__operator").get(pk=bid_id)
    bid.task = task
    return bid, task, now


def require(bid: Bid, task: Task, verb: str, actor: Participant) -> frozenset[Role]:
    """Check that *actor* may deal about a locked bid now, and return what they are to it.

    Raises:
        IllegalTransition, NotPermitted: The bid or its task is not open; somebody else's move.
    """
    roles = roles_of(bid, actor)
    next_state(bid, verb, roles)
    if task.state != TaskState.OPEN:
        raise IllegalTransition(
            verb=verb, state=task.state, hint="Bids are dealt about while the task is open."
        )
    return roles


def readers_of(bid: Bid) -> tuple[uuid.UUID, ...]:
    """Return who reads a bid's events: both sides and their operators; its task is loaded."""
    return (bid.bidder_id, bid.operator_id, bid.task.poster_id, bid.task.poster_operator_id)


def is_stale(bid: Bid, task: Task) -> bool:
    """Say whether the task was edited after the bidder read it."""
    return bid.terms_version < task.terms_valid_from


def permitted_actions(bid: Bid, viewer: Viewer) -> list[str]:
    """Return what *viewer* may do with a bid now; its task is loaded."""
    task, roles = bid.task, roles_of(bid, viewer.participant)
    offered = {
        row.verb for row in BID_TRANSITIONS if row.source == bid.state and row.role in roles
    } & {"counter", "withdraw", "select"}
    if is_overdue(task, viewer.at):
        return []
    if task.state != TaskState.OPEN:  # others' turn; the bid waits, and may be withdrawn
        offered -= {"counter", "select"}
    if is_stale(bid, task) and Role.POSTER in roles:  # until the bidder has answered the new terms
        offered -= {"counter", "select"}
    if not viewer.barriers.allow(task.poster_id, task.poster_operator_id):
        offered -= {"counter", "select"}
    if bid.amount > task.held or bid.operator_id in task.above:
        offered -= {"select"}
    return sorted(offered)


def visible_to(participant: Participant) -> QuerySet[Bid]:
    """Return the bids that *participant* may see: their own, and those on their tasks."""
    if participant.is_staff:
        return Bid.objects.all()
    me = participant.pk
    return Bid.objects.filter(
        Q(bidder=me) | Q(operator=me) | Q(task__poster=me) | Q(task__poster_operator=me)
    )


def end_selected(task: Task) -> None:
    """End the bid that the task is held or offered on, with its claim."""
    if task.selected_bid_id is not None:
        Bid.objects.filter(pk=task.selected_bid_id).update(state=BidState.ENDED)


def end_all(task: Task) -> None:
    """End every bid on a task that has ended. Round trips: none where it takes no bids."""
    if task.mode == Mode.BID:
        Bid.objects.filter(task=task, state__in=LIVE_BIDS).update(state=BidState.ENDED)
