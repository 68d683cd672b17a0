"""What is offered works, and what works is offered: every situation, everybody, every move."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from marketplace.delivery.models import Delivery
from marketplace.delivery.queries import as_shown
from marketplace.delivery.queries import permitted_actions as of_delivery
from marketplace.delivery.usecases.submit_delivery import AlreadyEntered
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.bids import LiveBidExists
from marketplace.tasks.caps import ClaimCapReached
from marketplace.tasks.models import Task
from marketplace.tasks.permissions import permitted_actions
from marketplace.tasks.queries import viewer
from marketplace.tasks.states import IllegalTransition, NotPermitted
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.work import a_claimed_task, a_submitted_delivery, a_task
from tests.tasks.situations import MOVES, SITUATIONS, Cast, Move, a_cast, now

pytestmark = pytest.mark.django_db

REFUSALS = (
    IllegalTransition,
    NotPermitted,
    ClaimCapReached,
    LiveBidExists,
    AlreadyEntered,
    Delivery.DoesNotExist,
)


def offered_to(participant: Participant | None, task: Task) -> set[str]:
    """Return the actions that the task and its latest delivery offer."""
    looking = viewer(participant)
    offered = set(permitted_actions(now(task), looking))
    delivery = as_shown(Delivery.objects.filter(task=task)).order_by("-number").first()
    about_delivery = set(of_delivery(delivery, looking) if delivery else ())
    return offered | (about_delivery - {"rate"})  # a rating comes after the end, and ends nothing


def accepted_from(participant: Participant, task: Task) -> set[str]:
    """Try every move, undo it, and return the names of those that worked."""
    return {name for name, move in MOVES.items() if works(move, task, participant)}


def works(move: Move, task: Task, participant: Participant) -> bool:
    with transaction.atomic():
        try:
            move(task, participant)
        except REFUSALS:
            return False
        finally:
            transaction.set_rollback(True)
    return True


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_offered_is_exactly_what_works(situation: str) -> None:
    cast = a_cast()
    task = SITUATIONS[situation](cast)

    offered = {name: offered_to(one, task) for name, one in cast.everybody().items()}
    accepted = {name: accepted_from(one, task) for name, one in cast.everybody().items()}

    assert offered == accepted
    assert offered_to(None, task) == set(), "a visitor is offered nothing"


EXPECTED = {
    "open": {"ada": {"cancel", "edit", "raise"}, "eve": {"claim"}, "bo": {"claim"}},
    "claimed": {
        "ada": {"cancel", "cancel_at_once", "raise"},
        "bo": {"heartbeat", "abandon", "submit", "add_subtasks"},
    },
    "submitted": {"ada": {"accept", "reject", "dispute", "raise"}},
    "rejected": {"ada": {"raise"}, "bo": {"abandon", "dispute", "submit"}},
    "rejected twice and delivered": {"ada": {"accept", "dispute", "raise"}},
    "under notice": {"ada": {"cancel_at_once", "raise"}, "bo": {"abandon", "submit"}},
    "delivered under notice": {"ada": {"accept", "reject", "dispute", "raise"}},
    "rejected under notice": {"ada": {"raise"}, "bo": {"abandon", "dispute", "submit"}},
    "takes bids": {"ada": {"cancel", "edit", "raise"}, "eve": {"bid"}},
    "bid selected": {"ada": {"cancel"}, "bo": {"claim", "decline"}},
    "held on a bid": {
        "ada": {"cancel", "cancel_at_once", "raise"},
        "bo": {"heartbeat", "abandon", "submit", "add_subtasks"},
    },
    "offered": {"ada": {"cancel"}, "bo": {"claim", "decline"}},
    "offered for good": {"ada": {"cancel"}, "bo": {"claim", "decline"}},
    "declined": {"ada": {"cancel", "edit", "raise"}, "eve": {"claim"}, "bo": {"claim"}},
    "contest": {"ada": {"cancel", "edit", "raise"}, "eve": {"submit"}, "bo": {"submit"}},
    "entered": {"ada": {"raise"}, "eve": {"submit"}},
    "closed": {"ada": {"accept", "raise"}},
    "closed with a failure": {"ada": {"raise"}},
    "disputed": {},
    "disputed by its poster": {},
    "accepted": {},
    "cancelled": {},
    "expired": {},
    "split": {
        "ada": {"cancel", "cancel_at_once", "raise"},
        "bo": {"heartbeat", "abandon", "add_subtasks"},
    },
    "a part": {"bo": {"cancel", "edit", "raise"}, "eve": {"claim"}},
    "a part that waits": {"bo": {"cancel", "edit"}},
    "a part, held": {
        "bo": {"cancel", "raise"},
        "eve": {"heartbeat", "abandon", "submit", "add_subtasks"},
    },
    "a part, accepted": {"ada": {"dispute"}},
    "closing": {},
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_offered_is_what_the_rules_say(situation: str) -> None:
    cast = a_cast()
    task = SITUATIONS[situation](cast)

    offered = {name: offered_to(one, task) for name, one in cast.everybody().items()}

    assert {name: actions for name, actions in offered.items() if actions} == EXPECTED[situation]


@pytest.mark.parametrize(
    ("build", "late"),
    [
        (lambda cast: a_task(cast.ada), {"days": 8}),
        (lambda cast: a_claimed_task(cast.ada, cast.bo), {"hours": 25}),
        (lambda cast: a_submitted_delivery(cast.ada, cast.bo).task, {"hours": 37}),
        (lambda cast: a_submitted_delivery(cast.ada, cast.bo).task, {"hours": 73}),
        (SITUATIONS["rejected"], {"hours": 49}),
        (SITUATIONS["under notice"], {"hours": 25}),
    ],
    ids=["deadline", "lease", "reminder", "review", "resubmission", "notice"],
)
def test_nothing_is_offered_that_a_passed_limit_forbids(
    build: Callable[[Cast], Task], late: dict[str, float]
) -> None:
    cast = a_cast()
    task = build(cast)
    clock.advance(timedelta(**late))

    for one in cast.everybody().values():
        assert offered_to(one, task) <= accepted_from(one, task)


def test_who_holds_as_many_tasks_as_it_may_is_not_offered_another() -> None:
    bo, task = an_agent(), a_task()
    for _ in range(3):
        assert offered_to(bo, task) == {"claim"}
        a_claimed_task(worker=bo)

    assert offered_to(bo, task) == set() == accepted_from(bo, task)


def test_an_operators_agents_share_its_cap() -> None:
    operator, task = a_person(), a_task()
    agents = [an_agent_of(operator) for _ in range(5)]
    for agent in agents[:3] * 3:
        a_claimed_task(worker=agent)
    assert offered_to(agents[3], task) == {"claim"}
    a_claimed_task(worker=agents[3])

    assert offered_to(agents[4], task) == set() == accepted_from(agents[4], task)
