"""Every verb that has a call, by everybody, in every state of tasks, bids and disputes, over HTTP.

What is legal is tried elsewhere; here everything else is sent, and refused as the tables say: 409
with `code`, `state` and `hint` where it is nobody's move now or the asker's in another state, 403
where it is somebody else's, 404 where the asker does not see what it is about.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from marketplace.delivery.models import Delivery
from marketplace.disputes.models import Dispute
from marketplace.disputes.permissions import parts_of
from marketplace.disputes.queries import as_shown
from marketplace.disputes.states import STEPS, DisputeState
from marketplace.participants.models import Participant
from marketplace.tasks import bids
from marketplace.tasks.models import Bid, BidState, Mode, Task
from marketplace.tasks.permissions import ACTIONS, TAKING
from marketplace.tasks.states import ENDED, TRANSITIONS, Role, TaskState
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.withdraw_bid import withdraw_bid
from tests.api.caller import Answer, Caller, as_caller, nothing_changes, ok, problem
from tests.builders.assets import a_skill
from tests.builders.people import an_agent
from tests.builders.work import a_bid, a_selected_bid, a_task, again, time_passes
from tests.disputes.test_states import SITUATIONS as DISPUTES
from tests.tasks.situations import SITUATIONS, Cast, a_cast

pytestmark = pytest.mark.django_db

# Refusals that are about what the asker's operator has done, not about where the task stands.
ONCE_ONLY = frozenset({"bid_exists", "already_entered"})


class Edge(Protocol):
    """A row of one of the three tables."""

    @property
    def verb(self) -> str: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True)
class Move:
    """One call.

    Attributes:
        name: What the API calls the action.
        verbs: What the table calls it; several where the use case picks one.
        about: The path of the thing; its `permitted_actions` name what is legal.
        send: Makes the call.
    """

    name: str
    verbs: Collection[str]
    about: str
    send: Callable[[Caller], Answer]


def posting(name: str, about: str, path: str, body: dict[str, Any], *verbs: str) -> Move:
    return Move(name, verbs or (name,), about, lambda who: who.post(path, body))


def refuse(
    who: dict[str, Caller],
    moves: Iterable[Move],
    *,
    edges: Iterable[tuple[Edge, str]],
    state: str,
    roles: Callable[[Participant], Collection[str]],
    states: Collection[str],
) -> int:
    """Send everything that is not legal, check that it is refused rightly, and return how much.

    Args:
        who: Who tries.
        moves: What they try.
        edges: The rows of the table, each with the role that it is for.
        state: The row's source where things stand.
        roles: What somebody is to the thing.
        states: What `state` of a refusal may say.
    """
    edges, moves, sent = list(edges), list(moves), 0
    with nothing_changes():
        for name, caller in who.items():
            held = roles(caller.participant)
            seen = {about: offered(caller, about) for about in {move.about for move in moves}}
            for move in moves:
                own = [edge for edge, role in edges if edge.verb in move.verbs and role in held]
                is_own = any(edge.source == state for edge in own)
                here = any(edge.verb in move.verbs and edge.source == state for edge, _ in edges)
                permitted = seen[move.about]
                if permitted is not None and is_legal(move, permitted, is_own=is_own):
                    continue
                expected: tuple[int, Collection[str]]
                # An entry that failed: the poster of a closed contest knows of it, unread.
                knows = (
                    state != TaskState.OPEN
                    and Role.POSTER in held
                    and move.about.startswith("/deliveries/")
                )
                if permitted is None and not knows:
                    expected = (404, {"not_found"})
                elif TAKING & set(move.verbs) and Role.ANYONE not in held:
                    expected = (403, {"own_task"})
                elif here and not own:
                    expected = (403, {"not_permitted"})
                else:
                    expected = (409, states)
                check(move.send(caller), expected, (name, move.name), once=is_own)
                sent += 1
    return sent


def offered(caller: Caller, about: str) -> list[str] | None:
    """Return what is offered about a thing; None to who does not see it."""
    answer = caller.get(about)
    return None if answer.status_code == 404 else ok(answer)["permitted_actions"]


def is_legal(move: Move, permitted: Collection[str], *, is_own: bool) -> bool:
    # Assets say nothing of tasks; whoever holds a task may use one for it.
    return is_own if move.name == "use_asset" else move.name in permitted


def check(
    answer: Answer, expected: tuple[int, Collection[str]], what: object, *, once: bool
) -> None:
    """Check a refusal: its status, and its code or, of a conflict, the state that it names."""
    status, said = expected
    document = answer.json()
    assert answer.status_code == status, (what, expected, document)
    problem(answer, status, document["code"])  # which has a hint, always
    if status == 409:
        is_known = document.get("state") in said or (once and document["code"] in ONCE_ONLY)
        assert is_known, (what, expected, document)
    else:
        assert document["code"] in said, (what, expected, document)


# --- Tasks, their deliveries and their entries ----------------------------------------------------


def moves_of(task: Task, asset: str) -> Iterator[Move]:
    here = f"/tasks/{task.public_id}"
    deliveries = f"{here}/deliveries"
    entering = "enter" if task.is_contest else "submit"
    yield posting("claim", here, f"{here}/claim", {})
    yield posting(
        "bid", here, f"{here}/bids", {"proposal": "x", "terms_version": task.terms_version}
    )
    yield posting("submit", here, deliveries, {"summary": "x"}, entering)
    yield posting("raise", here, f"{here}/raise", {"bounty": "11"})
    yield posting("decline", here, f"{here}/decline", {}, "decline", "refuse")
    yield posting("heartbeat", here, f"{here}/heartbeat", {})
    yield posting("abandon", here, f"{here}/abandon", {}, "abandon", "withdraw")
    yield posting("dispute", here, f"{here}/disputes", {"reason": "x"})
    yield posting("use_asset", here, f"/assets/{asset}/use", {"task": task.public_id})
    plan = {"subtasks": [{"key": "k", "title": "x", "description": "x", "bounty": "1"}]}
    yield posting("add_subtasks", here, f"{here}/subtasks", plan, "delegate")
    yield Move("edit", ("edit",), here, lambda who: edit(who, here))
    cancelling = "give_notice" if task.state == TaskState.CLAIMED else "cancel"
    yield posting("cancel", here, f"{here}/cancel", {}, cancelling)
    if task.state == TaskState.CLAIMED:  # elsewhere there is nothing to end at once
        yield posting("cancel_at_once", here, f"{here}/cancel", {"at_once": True})
    for delivery in Delivery.objects.filter(task=task):
        about = f"/deliveries/{delivery.public_id}"
        yield posting("accept", about, f"{about}/accept", {})
        yield posting("reject", about, f"{about}/reject", {"reason": "x"})


def edit(who: Caller, path: str) -> Answer:
    tag = who.get(path).headers["ETag"]
    return who.patch(path, {"title": "x"}, If_Match=tag)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_a_tasks_state_does_not_permit_is_refused_with_the_state_and_a_hint(
    situation: str,
) -> None:
    cast, skill = a_cast(), a_skill(price=None)
    task = again(SITUATIONS[situation](cast))
    people = {name: as_caller(one) for name, one in cast.everybody().items()}
    deliveries = Delivery.objects.filter(task=task).values_list("state", flat=True)

    sent = refuse(
        people,
        moves_of(task, skill.asset.reference),
        edges=[(row, row.role) for row in TRANSITIONS],
        state=task.state,
        roles=task.roles_of,
        states={task.state, *deliveries},
    )

    assert sent >= 4 * 9


def test_the_situations_stand_in_every_state_that_a_task_reaches() -> None:
    reached = {TaskState.OPEN} | {row.target for row in TRANSITIONS}

    assert {SITUATIONS[name](a_cast()).state for name in ONE_OF_EACH} == reached


ONE_OF_EACH = (
    *("open", "offered", "claimed", "submitted", "disputed"),
    *("accepted", "cancelled", "expired", "a part that waits", "closing"),
)


def test_the_verbs_are_all_that_the_api_names() -> None:
    task = SITUATIONS["submitted"](a_cast())
    held = SITUATIONS["claimed"](a_cast())

    tried = {move.name for one in (task, held) for move in moves_of(one, "a/b")}

    assert tried == set(ACTIONS.values()) | {"accept", "reject", "use_asset"}


@pytest.mark.parametrize(
    "situation", ["submitted", "rejected", "closed", "disputed", "disputed by its poster"]
)
def test_a_task_that_has_not_ended_is_not_rated(situation: str) -> None:
    cast = a_cast()
    task = again(SITUATIONS[situation](cast))
    assert task.state not in ENDED
    path = f"/deliveries/{Delivery.objects.get(task=task).public_id}/rating"
    sides = [as_caller(one) for one in (cast.ada, cast.bo)]

    with nothing_changes():
        answers = [side.post(path, {"score": 1}) for side in sides]

    for answer in answers:
        assert problem(answer, 409, "illegal_transition")["state"] == task.state


# --- Bids -----------------------------------------------------------------------------------------


def _open(cast: Cast) -> Bid:
    return a_bid(a_task(cast.ada, mode=Mode.BID), cast.bo)


def _waiting(cast: Cast) -> Bid:
    bid = _open(cast)
    select_bid(bid_id=a_bid(bid.task, an_agent()).pk, actor=cast.ada)
    return bid


def _waiting_while_another_works(cast: Cast) -> Bid:
    bid, rival = _open(cast), an_agent()
    select_bid(bid_id=a_bid(bid.task, rival).pk, actor=cast.ada)
    claim_task(task_id=bid.task_id, actor=rival)
    return bid


def _selected(cast: Cast) -> Bid:
    return a_selected_bid(cast.ada, cast.bo)


def _taken(cast: Cast) -> Bid:
    bid = _selected(cast)
    claim_task(task_id=bid.task_id, actor=cast.bo)
    return bid


def _declined(cast: Cast) -> Bid:
    bid = _selected(cast)
    decline_task(task_id=bid.task_id, actor=cast.bo)
    return bid


def _lapsed(cast: Cast) -> Bid:
    bid = _selected(cast)
    time_passes(bid.task, days=1, seconds=1)
    return bid


def _withdrawn(cast: Cast) -> Bid:
    return withdraw_bid(bid_id=_open(cast).pk, actor=cast.bo)


def _ended(cast: Cast) -> Bid:
    bid = _open(cast)
    cancel_task(task_id=bid.task_id, actor=cast.ada)
    return bid


BIDS: list[tuple[BidState, Callable[[Cast], Bid]]] = [
    (BidState.OPEN, _open),
    (BidState.OPEN, _waiting),
    (BidState.OPEN, _waiting_while_another_works),
    (BidState.SELECTED, _selected),
    (BidState.TAKEN, _taken),
    (BidState.DECLINED, _declined),
    (BidState.LAPSED, _lapsed),
    (BidState.WITHDRAWN, _withdrawn),
    (BidState.ENDED, _ended),
]


@pytest.mark.parametrize(("state", "build"), BIDS)
def test_what_a_bids_state_does_not_permit_is_refused_with_the_state_and_a_hint(
    state: BidState, build: Callable[[Cast], Bid]
) -> None:
    cast = a_cast()
    bid = Bid.objects.select_related("task").get(pk=build(cast).pk)
    assert bid.state == state
    here = f"/bids/{bid.public_id}"

    sent = refuse(
        {name: as_caller(one) for name, one in cast.everybody().items()},
        [
            posting("counter", here, f"{here}/counter", {"amount": "3"}),
            posting("select", here, f"{here}/select", {}),
            Move("withdraw", ("withdraw",), here, lambda who: who.delete(here)),
        ],
        edges=[(row, row.role) for row in bids.BID_TRANSITIONS],
        state=bid.state,
        roles=lambda one: bids.roles_of(bid, one),
        states={bid.state, bid.task.state},
    )

    assert sent >= 8


def test_the_bids_stand_in_every_state() -> None:
    assert {state for state, _ in BIDS} == set(BidState)


# --- Disputes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", DisputeState)
def test_what_a_disputes_state_does_not_permit_is_refused_with_the_state_and_a_hint(
    state: DisputeState,
) -> None:
    made = DISPUTES[state]()
    dispute = as_shown(Dispute.objects.filter(pk=made.pk)).get()
    assert dispute.state == state
    assert dispute.claim is not None
    here = f"/disputes/{dispute.public_id}"
    vote = {"outcome": "reject", "rationale": "x"}
    people = [dispute.task.poster, dispute.claim.worker, an_agent()]
    people += [seat.panelist for seat in dispute.seats.all()]

    sent = refuse(
        {one.handle: as_caller(one) for one in people},
        [
            posting("submit_evidence", here, f"{here}/evidence", {"text": "x"}),
            posting("vote", here, f"{here}/votes", vote),
            posting("appeal", here, f"{here}/appeal", {"reason": "x"}),
        ],
        edges=[(step, step.part) for step in STEPS],
        state=dispute.state,
        roles=lambda one: parts_of(dispute, one),
        states={dispute.state},
    )

    assert sent >= 6
